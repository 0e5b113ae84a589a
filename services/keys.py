"""Makes API keys, lists them and takes them back, in the file that the server reads. A key is shown once, when made.

python -m services.keys add shop --file keys.txt
python -m services.keys revoke shop --file keys.txt
"""

import argparse
import logging
import os
import sys
from pathlib import Path

from fromage_model.errors import FromageError, InvalidInput
from fromage_model.logs import dated_lines
from services.http.access.keys import NAME, Scope, StoredKey, digest_of, new_key, read_keys, write_keys

EXIT_REFUSED = 2
FILE = "FROMAGE_KEYS_FILE"

log = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    """-> 0, or 2 where it can't be done; why is logged."""
    dated_lines(news_to_stdout=False)
    asked = parser().parse_args(arguments)
    try:
        if not asked.file:
            raise InvalidInput(f"name the file of keys with --file, or by {FILE}")
        file = Path(asked.file)
        if asked.command == "add":
            print(add(file, asked.name, admin=asked.admin, alone=asked.only_admin))
        elif asked.command == "revoke":
            revoke(file, asked.name)
        else:
            for key in held(file):
                print(f"{key.name}\t{'+'.join(sorted(key.scopes))}\t{key.digest[:12]}")
    except (FromageError, OSError, UnicodeDecodeError) as error:
        log.error("%s", error)
        return EXIT_REFUSED
    return 0


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.keys", description="API keys of the services.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add = commands.add_parser("add", help="make a key and print it, once; the file keeps a hash of it")
    add.add_argument("name", help="whose it is: letters, digits, and . _ @ - between them")
    add.add_argument("--admin", action="store_true", help="it may ask for /admin, too")
    add.add_argument("--only-admin", action="store_true", help="it may ask for /admin, and nothing else")
    revoke = commands.add_parser("revoke", help="take a key back; a server that runs refuses it at once")
    revoke.add_argument("name", help="whose it is")
    every = [add, revoke, commands.add_parser("list", help="names, what each may ask for, and how its hash begins")]
    for command in every:
        command.add_argument("--file", default=os.environ.get(FILE), help=f"the file of keys; by itself {FILE}")
    return parser


def held(file: Path) -> list[StoredKey]:
    """Raises OSError where there is no such file, InvalidInput for a line that is no key."""
    return read_keys(file.read_text(), where=str(file))


def add(file: Path, name: str, *, admin: bool = False, alone: bool = False) -> str:
    """-> a new key, which stands nowhere else. Raises InvalidInput for a name that is no name, or is taken."""
    if not NAME.fullmatch(name):
        raise InvalidInput(f"{name!r} is no name for a key: letters, digits, and . _ @ - between them, up to 64")
    others = held(file) if file.exists() else []
    if name in [other.name for other in others]:
        raise InvalidInput(f"there is a key {name!r} already; revoke it first, or choose another name")
    scopes: set[Scope] = {"admin"} if alone else {"chat", "admin"} if admin else {"chat"}
    key = new_key()
    write_keys(file, [*others, StoredKey(name, digest_of(key), frozenset(scopes))])
    return key


def revoke(file: Path, name: str) -> None:
    """Raises InvalidInput where there is no such key."""
    keys = held(file)
    if name not in [key.name for key in keys]:
        raise InvalidInput(f"there is no key {name!r} in {file}")
    write_keys(file, [key for key in keys if key.name != name])


if __name__ == "__main__":
    sys.exit(main())
