//! The process's listening sockets, as a snapshot wants them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::admin::Admin;
use crate::server::{Bound, Gateway, Listeners, Serve};
use crate::shared::Shared;
use crate::snapshot::Snapshot;

/// The public and the admin side.
#[derive(Default)]
pub(crate) struct Sockets {
    public: Listeners,
    admin: Listeners,
}

/// Sockets that are bound but do not serve yet.
pub(crate) struct BoundSockets {
    public: Bound,
    admin: Bound,
}

impl Sockets {
    /// Where the public and the admin side listen.
    pub(crate) fn addresses(&self) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
        (self.public.addresses(), self.admin.addresses())
    }

    /// Whether the public side serves TLS; `None` where it serves nothing yet.
    pub(crate) fn is_tls(&self) -> Option<bool> {
        self.public.is_tls()
    }

    /// Binds what `snapshot` has and nobody serves yet. Nothing changes.
    ///
    /// # Errors
    /// A sentence that names the address.
    pub(crate) async fn bind(&self, snapshot: &Snapshot) -> Result<BoundSockets, String> {
        let failed = |(address, error)| {
            format!("cannot listen on `{address}` (`listen` in the config): {error}")
        };
        let config = snapshot.config();
        let public = self
            .public
            .bind(&config.server.listen)
            .await
            .map_err(failed)?;
        let admin = self
            .admin
            .bind(&admin_addresses(snapshot))
            .await
            .map_err(failed)?;
        Ok(BoundSockets { public, admin })
    }

    /// Serves on `bound` with the settings of the snapshot of the moment, and drains what it does not list.
    ///
    /// # Errors
    /// Where a socket fails at the last moment.
    pub(crate) fn commit(&mut self, bound: BoundSockets, shared: &Arc<Shared>) -> io::Result<()> {
        let snapshot = shared.cell.load();
        let server = &snapshot.config().server;
        let serve = Serve {
            handler: Gateway::new(Arc::clone(shared)),
            header_read: server.header_read,
            idle: server.idle,
            write_gap: server.body_write_gap,
            tls: snapshot.tls.clone(),
        };
        self.public.commit(bound.public, &server.listen, &serve)?;
        let serve = Serve {
            handler: Admin::new(Arc::clone(shared)),
            header_read: server.header_read,
            idle: server.idle,
            write_gap: server.body_write_gap,
            tls: None,
        };
        self.admin
            .commit(bound.admin, &admin_addresses(&snapshot), &serve)
    }

    /// Stops accepting on the public side. Running requests go on.
    pub(crate) fn close_public(&mut self) {
        self.public.stop_accepting();
    }

    /// Stops accepting on the admin side.
    pub(crate) fn close_admin(&mut self) {
        self.admin.stop_accepting();
    }

    /// Waits for the last public connection, after [`Self::close_public`].
    pub(crate) async fn public_finished(&self) {
        self.public.finished().await;
    }

    /// Waits for the last connection, after both sides were closed.
    pub(crate) async fn finished(&self) {
        tokio::join!(self.public.finished(), self.admin.finished());
    }
}

fn admin_addresses(snapshot: &Snapshot) -> Vec<String> {
    snapshot
        .config()
        .admin
        .iter()
        .map(|admin| admin.listen.clone())
        .collect()
}
