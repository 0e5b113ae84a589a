#!/usr/bin/env bash
# Prints the first Python of version 3.11 or newer: $PYTHON if it is set, else what stands on the PATH.
for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3}; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        command -v "$candidate"
        exit 0
    fi
done
exit 1
