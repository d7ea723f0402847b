//! A paragraph for each code.

const CODES: &[(&str, &str)] = &[
    (
        "AUR0001",
        "The file is not TOML. Nothing else can be checked until it is, so only this one problem is shown. TOML writes settings as `key = value`, text in quotes, sections as `[name]` and list entries as `[[name]]`.",
    ),
    (
        "AUR0002",
        "TOML allows each key once in a section and each `[section]` once in a file. Both places are shown: keep one, or merge them. Lists of tables, such as routes, are written with double brackets: `[[routes]]`.",
    ),
    (
        "AUR0003",
        "The settings passed every check and still could not be read. This is a defect of Aurora: please report it with the setting that is shown.",
    ),
    (
        "AUR0100",
        "`version` says which form of aurora.toml this is. This version of Aurora reads form 1, and so does a file that has no `version`.",
    ),
    (
        "AUR0101",
        "Aurora knows no setting of this name at this place. Unknown keys are errors because a misspelt setting would otherwise be a default that nobody asked for. The known keys are listed below the message.",
    ),
    (
        "AUR0102",
        "The value has another type than the setting. Text, durations, sizes and addresses are in quotes; numbers, `true` and `false` are not; a list is in brackets, a table in braces.",
    ),
    (
        "AUR0103",
        "The number is of the right type but outside the range that makes sense for this setting.",
    ),
    (
        "AUR0104",
        "Durations are written with their units in quotes: \"300ms\", \"30s\", \"1m 30s\", \"2h\". A bare number would leave open whether it means seconds or milliseconds, so it is refused.",
    ),
    (
        "AUR0105",
        "Sizes are written with their unit in quotes: \"512KiB\", \"64MiB\", \"1GB\". KiB, MiB and GiB are powers of 1024; kB, MB and GB are powers of 1000.",
    ),
    (
        "AUR0106",
        "The value is not a URL that can be used here. An upstream's `base_url` is an http or https URL with a host and without query, fragment or user name; credentials belong into a [tokens] pool. A `proxy` is an http, https or socks5 URL.",
    ),
    (
        "AUR0107",
        "The setting takes one of a fixed set of words, listed below the message.",
    ),
    ("AUR0108", "The setting has no default and must be written."),
    (
        "AUR0109",
        "A listen address is `host:port` in quotes, such as \"127.0.0.1:8080\", \"[::1]:8080\" or \"localhost:8080\". Port 0 lets the system choose.",
    ),
    (
        "AUR0110",
        "Each upstream protocol has settings of its own: `base_url` belongs to openai and chatgpt-web, `fail_rate` to mock, and so on. On an upstream of another protocol the setting would do nothing.",
    ),
    (
        "AUR0111",
        "Headers for upstreams are built from nothing; `forward_headers` adds client headers by name. Credentials, cookies, Host, Content-Length and the hop-by-hop headers of RFC 9110 are never passed on, so they cannot be listed.",
    ),
    (
        "AUR0112",
        "A route's path begins with `/`, has no query, no fragment and no `.` or `..` segments. `{name}` matches one segment, or a part of one; `{*rest}` matches everything that is left and comes last.",
    ),
    (
        "AUR0113",
        "Methods are HTTP methods in capital letters, such as \"GET\" and \"POST\". Without `methods` a route serves those that its plugin serves.",
    ),
    (
        "AUR0114",
        "These settings exclude each other, or one is needed for the other. Keep one of them, or write what is missing.",
    ),
    ("AUR0115", "The value is empty where something is needed."),
    (
        "AUR0116",
        "The text does not have the form that this setting needs, as the message explains.",
    ),
    (
        "AUR0201",
        "A route names an upstream that has no [upstreams.NAME] section.",
    ),
    (
        "AUR0202",
        "A route, or a list of filters, names a plugin that is neither built in nor loaded from the plugin folder. Libraries of that folder that were refused, and whose names are not known for that reason, are listed below the message.",
    ),
    (
        "AUR0203",
        "An upstream names a token pool that has no [tokens.NAME] section.",
    ),
    (
        "AUR0204",
        "Pools come in two kinds. Plain API keys (`file`, `env` or `values`) are for openai upstreams; ChatGPT accounts (`access`, `refresh`, `session`, `device`) are for chatgpt-web upstreams. The upstream and the pool disagree; both places are shown.",
    ),
    (
        "AUR0205",
        "An [[expect]] names an upstream in `goes_to` that has no [upstreams.NAME] section.",
    ),
    (
        "AUR0206",
        "A client key lists a route by a path that no [[routes]] entry has. The paths must be equal as written, patterns included.",
    ),
    (
        "AUR0207",
        "Plugins come in two kinds: handlers serve routes and are named in `plugin`; filters stand between clients and handlers and are named in `filters`. A plugin can be both; this one is only the other kind.",
    ),
    (
        "AUR0208",
        "The `grant` of a plugin lists an upstream that has no [upstreams.NAME] section.",
    ),
    (
        "AUR0209",
        "The plugin is in the plugin folder, but its library was not loaded. The file and the reason are below the message. What serves already goes on until the file is mended.",
    ),
    (
        "AUR0301",
        "Two routes serve the same method of the same path, so the second could never match. Routes on one path with different `methods` are fine.",
    ),
    (
        "AUR0302",
        "Two path patterns differ only in the names of their parameters, or overlap in a way that leaves open which one matches.",
    ),
    (
        "AUR0303",
        "An [[expect]] says where a request must go, and with these routes it would go elsewhere. Either the routes are wrong or the expectation is out of date. A failing expectation refuses the whole configuration: that is its use.",
    ),
    (
        "AUR0304",
        "All weights of a list are zero, so no upstream, or no plugin, could be chosen. A weight of 0 takes one out; at least one must be above 0.",
    ),
    (
        "AUR0305",
        "`upstream` is either an ordered list of names, where the next is tried when one fails, or a list of `{ name, weight }` tables, which shares the traffic. One list cannot be both.",
    ),
    ("AUR0306", "The same name appears twice in one list."),
    (
        "AUR0307",
        "`plugin` is one name, or a list of `{ name, weight }` tables, which shares the traffic, as when a new version is tried with some of it. An order of names would have no meaning: a request that one plugin has begun is never given to another.",
    ),
    (
        "AUR0308",
        "Two [plugins.NAME] sections name the same `file`. A library serves under one name: copy the file, or remove one of the two.",
    ),
    (
        "AUR0401",
        "A secret is taken from an environment variable, and that variable is unset or empty.",
    ),
    (
        "AUR0402",
        "A file that the configuration names cannot be read. Relative paths start at the folder of aurora.toml.",
    ),
    (
        "AUR0403",
        "A line of a token or key file does not look like a token. Such files hold one token a line, without quotes; blank lines and lines that begin with # are skipped. The line itself is not shown because it may be a secret.",
    ),
    (
        "AUR0404",
        "The certificate or key file does not hold a PEM block of the kind that is needed. `cert` wants a -----BEGIN CERTIFICATE----- block, `key` a -----BEGIN PRIVATE KEY----- block (or its RSA or EC form, unencrypted).",
    ),
    (
        "AUR0405",
        "Two settings name the same file of ChatGPT accounts. Aurora writes new tokens back, and session tokens are good for one exchange: two pools would use up each other's. Use one pool for several upstreams, or a file for each pool.",
    ),
    (
        "AUR0501",
        "An environment variable that Aurora reads has a value that it cannot use. `AURORA_SECTION__KEY` takes what the setting takes in the file: bare text, or a TOML value; lists may be separated by commas.",
    ),
    (
        "AUR0502",
        "HTTPS needs a certificate and its key, and only one of TLS_CERT and TLS_KEY is set.",
    ),
    (
        "AUR0601",
        "Aurora would listen on an address that other machines can reach, and nobody would need a key: anybody could spend your tokens. Listen on 127.0.0.1, or set keys in [auth], or write `open = true` in [auth] if something in front of Aurora guards it.",
    ),
    (
        "AUR0602",
        "Two listeners have the same address; only one of them could be opened.",
    ),
    (
        "AUR0603",
        "Two client keys have the same name, so that logs and status could not tell them apart.",
    ),
    (
        "AUR0701",
        "A plugin refused its options, or an upstream its settings. What it said is in the message.",
    ),
    (
        "AUR0901",
        "No route uses this upstream, and no plugin is granted it. It is allowed, since upstreams are often kept for later, but it may be a misspelt reference.",
    ),
    ("AUR0902", "No upstream uses this token pool."),
    (
        "AUR0903",
        "The token pool holds no token, so every request through it will fail.",
    ),
    (
        "AUR0904",
        "The same token is listed more than once; it is used once.",
    ),
    (
        "AUR0905",
        "There are no routes, so every request is answered with 404.",
    ),
    (
        "AUR0907",
        "Variables whose names begin with AURORA_ are settings, and there is none of this name. AURORA_SERVER__LISTEN sets `listen` of [server]: two underscores stand for one step down.",
    ),
    (
        "AUR0908",
        "A variable of an earlier program is set that has no effect here, as the message explains.",
    ),
    (
        "AUR0909",
        "A file with ChatGPT accounts is not there. It counts as empty until it is: Aurora watches for it. Relative paths start at the folder of aurora.toml.",
    ),
    (
        "AUR0910",
        "The setting belongs to another value of a second one, which the message names, so it does nothing. Change the second one, or remove the line.",
    ),
];

/// A paragraph about a diagnostic's code, such as `"AUR0301"` (in either case); `None` for a code that does not exist.
pub fn explain(code: &str) -> Option<&'static str> {
    CODES
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(code))
        .map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_explained_once_in_order() {
        assert!(CODES.is_sorted_by(|a, b| a.0 < b.0));
        assert!(explain("aur0301").is_some());
        assert!(explain("AUR9999").is_none());
    }
}
