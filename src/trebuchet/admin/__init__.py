"""The provisioning and operations API, used by the command line and the console."""
