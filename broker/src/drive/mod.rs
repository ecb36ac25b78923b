//! The only place where a connection meets a stream.

mod ask;
mod enter;
mod open;
mod park;
mod renew;
mod turn;
mod wire;

use std::future::poll_fn;

use wasmqtt_codec::ReasonCode;
use wasmqtt_core::connection::Departure;
use wasmqtt_core::mailbox::Notice;

use crate::count::Ending;
use crate::listen::{Accepted, Seat};
use crate::transport::Peer;
use crate::worker::{Shared, with_local};
pub(crate) use park::see_through;
use turn::{Driver, Ended};

/// Serves one connection from its first byte to its last.
pub(crate) async fn drive(accepted: Accepted, peer: Peer, mut seat: Seat, shared: Shared) {
    // Boxed: what the handshake needs is gone once it is done, and most connections are idle for most of their
    // lives.
    let entered = Box::pin(enter::enter(accepted, peer, &mut seat, shared.clone()));
    let Some((wire, connection)) = entered.await else { return };
    seat.end_handshake();
    let mut driver = Driver::new(wire, connection, seat.listener(), shared);
    if seat.listener().is_closed() {
        // While it entered, those who had were told.
        driver.session.mailbox.notify(Notice::Disconnect(ReasonCode::AdministrativeAction));
    }
    let ended = poll_fn(|cx| driver.poll(cx)).await;
    driver.say_goodbye(&ended);
    driver.see_through().await;
    depart(&driver, &ended);
    driver.log(&ended);
    driver.close().await;
}

fn depart(driver: &Driver, ended: &Ended) {
    let how = match ended {
        Ended::Disconnected(departure) => *departure,
        Ended::Fault(fault, departure) => Departure { code: Some(fault.reason()), ..*departure },
        Ended::Lost(_) => Departure::LOST,
    };
    let ending = match ended {
        Ended::Disconnected(_) => Ending::Client,
        Ended::Fault(..) => Ending::Broker,
        Ended::Lost(_) => Ending::Lost,
    };
    with_local(|local| {
        local.counters.left(ending, how.code.unwrap_or_default());
        driver.depart(&mut local.lane, how);
    });
}
