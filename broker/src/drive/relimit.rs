//! A reload changes limits while a client is connected. It is noticed where rights are judged again, which a reload asks
//! of every connection: a turn without a reload costs nothing.

use std::sync::Arc;

use super::turn::Driver;
use crate::worker::{Local, with_local};

impl Driver {
    /// Takes over what the listener allows now.
    pub(super) fn relimit(&mut self, local: &mut Local) {
        let settings = self.listener.settings.load_full();
        self.disconnect_on_denied = settings.disconnect_on_denied;
        let (broker, connection) = (&self.shared.broker, &mut self.connection);
        if !broker.relimit(&mut local.lane, connection, &settings.limits) {
            return;
        }
        self.limits = Arc::clone(self.connection.limits());
        self.arm();
        if self.connection.paused(self.shared.clock.now()).is_none()
            && let Some(pause) = &mut self.waits.pause
        {
            pause.as_mut().reset(tokio::time::Instant::now());
        }
    }

    /// A reload while the client entered asked nothing of it.
    pub(super) fn catch_up(&mut self) {
        let settings = self.listener.settings.load();
        if self.connection.revised(&settings.limits).is_some() {
            with_local(|local| self.relimit(local));
        }
    }
}
