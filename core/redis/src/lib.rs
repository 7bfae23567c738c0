//! Redis connections, INFO and XINFO parsing, the command allowlist.
