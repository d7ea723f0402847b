//! `[server]` and `[admin]`.

use url::Url;

use super::Resolver;
use crate::diagnostic::Problem;
use crate::document::Place;
use crate::raw::Raw;
use crate::schema::words;
use crate::settings::{Admin, Auth, Server};

impl Resolver<'_> {
    pub(super) fn server(&mut self, raw: &Raw, auth: &Auth) -> Server {
        let server = &raw.server;
        let listen = server.listen.as_slice().to_vec();
        self.listeners(&listen, auth);
        Server {
            listen,
            max_body: server.max_body,
            max_upload: server.max_upload,
            max_in_flight: server.max_in_flight,
            header_read: server.header_read,
            body_read_gap: server.body_read_gap,
            body_write_gap: server.body_write_gap,
            idle: server.idle,
            drain: server.drain,
            keep_alive_comment: server.keep_alive_comment,
            stream: server.stream,
            data_dir: self.absolute(&server.data_dir),
            cors: server.cors.clone(),
            tls: server.tls.as_ref().and_then(|tls| self.tls(tls)),
            fetch_private: server.fetch_private,
            public_url: server
                .public_url
                .as_deref()
                .and_then(|url| Url::parse(url).ok()),
        }
    }

    pub(super) fn admin(&mut self, raw: &Raw, server: &Server) -> Option<Admin> {
        let listen = raw.admin.as_ref()?.listen.clone();
        if let Some(index) = server.listen.iter().position(|other| same(other, &listen)) {
            let place = self.places.value(&["admin", "listen"]);
            let message = format!("`admin.listen` and `server.listen` are both {listen}");
            let problem = Problem::error("AUR0602", place, message)
                .label("used twice")
                .second(self.listen_place(index), "used here")
                .help("the admin listener needs an address of its own");
            self.problems.push(problem);
        }
        Some(Admin { listen })
    }

    fn listen_place(&self, index: usize) -> Place {
        self.places.value(&["server", "listen", &index.to_string()])
    }

    fn listeners(&mut self, listen: &[String], auth: &Auth) {
        if listen.is_empty() {
            let place = self.places.value(&["server", "listen"]);
            let problem = Problem::error("AUR0115", place, "must name an address");
            self.problems.push(problem.subject("server.listen"));
        }
        let keys = !auth.keys.is_empty() || self.keys_are_meant();
        for (index, address) in listen.iter().enumerate() {
            let earlier = listen
                .iter()
                .take(index)
                .position(|other| same(other, address));
            if let Some(earlier) = earlier {
                let message = format!("the address {address} is listed twice");
                let problem = Problem::error("AUR0602", self.listen_place(index), message)
                    .label("again here")
                    .second(self.listen_place(earlier), "first here");
                self.problems.push(problem);
            } else if !keys && !auth.open && is_public(address) {
                self.problems
                    .push(open_to_all(address, self.listen_place(index)));
            }
        }
    }

    // A key that could not be read is reported as such; it need not be missed as well.
    fn keys_are_meant(&self) -> bool {
        let written = self.places.node(&["auth", "keys"]);
        written.is_some_and(|node| node.as_list().is_none_or(|items| !items.is_empty()))
            || self.places.has(&["auth", "keys_file"])
    }
}

// Two listeners on port 0 get two ports.
fn same(a: &str, b: &str) -> bool {
    let parts = |text| words::address(text).ok();
    let zero = parts(a).is_some_and(|(_, port)| port == 0);
    !zero && (a == b || (parts(a).is_some() && parts(a) == parts(b)))
}

fn is_public(address: &str) -> bool {
    let Ok((host, _)) = words::address(address) else {
        return false;
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<std::net::IpAddr>() {
        Ok(ip) => !ip.to_canonical().is_loopback(),
        Err(_) => !host.eq_ignore_ascii_case("localhost"),
    }
}

fn open_to_all(address: &str, place: Place) -> Problem {
    Problem::error(
        "AUR0601",
        place,
        format!("{address} can be reached by others, and no client key is set"),
    )
    .label("anybody could use your tokens")
    .help("listen on 127.0.0.1 to serve this machine only")
    .help("or require a key: `keys = [\"...\"]` in [auth]")
    .help("or let everybody in: `open = true` in [auth]")
}
