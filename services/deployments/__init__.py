"""The Serve deployments, one file each: thin, over engines that tests run without Ray."""
