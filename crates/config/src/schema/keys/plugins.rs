//! Keys of `[plugins]` and `[plugins.NAME]`.

use super::{key, section};
use crate::schema::{Kind, Section};

pub(super) static PLUGINS: Section = Section {
    keys: &[
        key(
            "dir",
            Kind::Path,
            "Folder of loadable plugins; need not exist.",
        )
        .or("plugins"),
        key(
            "filters",
            Kind::List(&Kind::Text),
            "Filters of all routes, in this order, before those of the route.",
        )
        .or("[]"),
        key(
            "trust",
            Kind::Word(&["owner-check", "allow-list", "signature"]),
            "Which libraries are loaded: those that only root and Aurora's user can change, those in allow, or those signed with one of public_keys.",
        )
        .or("owner-check"),
        key(
            "allow",
            Kind::List(&Kind::Digest),
            "Libraries that may be loaded, as sha256:DIGITS; needed with trust allow-list.",
        )
        .or("[]"),
        key(
            "public_keys",
            Kind::List(&Kind::PublicKey),
            "Minisign public keys of who may sign libraries; needed with trust signature.",
        )
        .or("[]"),
        key(
            "unload",
            Kind::Word(&["never", "if-safe"]),
            "Whether a replaced version is unmapped when nothing uses it and it says that it can be.",
        )
        .or("never"),
        key(
            "max_generations",
            Kind::Integer {
                min: 1,
                max: 10_000,
            },
            "Versions of one plugin that may stay mapped.",
        )
        .or("64"),
        key(
            "drain",
            Kind::Duration,
            "How long requests of a replaced version may go on.",
        )
        .or("10m"),
        key(
            "on_panic",
            Kind::Word(&["rollback", "keep"]),
            "Whether a new version that panics too often makes way for the one before it.",
        )
        .or("rollback"),
        key(
            "panics",
            Kind::Integer {
                min: 1,
                max: 10_000,
            },
            "Panics within panic_window that are too many.",
        )
        .or("5"),
        key(
            "panic_window",
            Kind::Duration,
            "Time in which panics are counted.",
        )
        .or("60s"),
    ],
    rest: Some(&Kind::Table(&PLUGIN)),
};

static PLUGIN: Section = Section {
    keys: &[
        key(
            "file",
            Kind::FileName,
            "Library in the folder of plugins that serves under this name.",
        ),
        key(
            "grant",
            Kind::Table(&GRANT),
            "What the plugin may use beside its routes.",
        )
        .or("{}"),
    ],
    rest: Some(&Kind::Any),
};

static GRANT: Section = section(&[
    key(
        "upstreams",
        Kind::List(&Kind::Text),
        "Upstreams that the plugin may call by name.",
    )
    .or("[]"),
    key(
        "max_concurrency",
        Kind::Integer {
            min: 1,
            max: 10_000,
        },
        "Blocking calls at once.",
    )
    .or("64"),
]);
