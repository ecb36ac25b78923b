//! The only place where a connection meets a stream.

mod ask;
mod close;
mod enter;
mod line;
mod open;
mod park;
mod relimit;
mod renew;
mod taking_turns;
mod turn;
mod wire;

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use wasmqtt_codec::{ReasonCode, Version};
use wasmqtt_core::client::Client;
use wasmqtt_core::connection::{Connection, Departure};
use wasmqtt_core::mailbox::Notice;

use crate::count::Ending;
use crate::listen::{Accepted, Seat};
use crate::transport::Peer;
use crate::worker::{Count, Shared, with_local};
pub(crate) use line::{Line, Part, call};
pub(crate) use park::see_through;
pub(crate) use taking_turns::Turns;
use turn::{Driver, Ended};
use wire::Wire;

/// One connection from its first byte to its last.
///
/// Written by hand, because most connections are idle for most of their lives: what the handshake and the end need is
/// boxed and there only as long as they last, and nothing lies in it twice.
pub(crate) struct Life {
    stage: Stage,
    shared: Shared,
    _count: Count,
}

type Entering = dyn Future<Output = (Seat, Option<(Wire, Connection)>)> + Send;

#[expect(clippy::large_enum_variant, reason = "nearly all connections are being served")]
enum Stage {
    Entering(Pin<Box<Entering>>),
    Serving(Driver, Seat),
    Leaving(Pin<Box<dyn Future<Output = ()> + Send>>),
    Over,
}

impl Life {
    pub(crate) fn new(
        accepted: Accepted,
        peer: Peer,
        mut seat: Seat,
        count: Count,
        shared: Shared,
    ) -> Self {
        let theirs = Shared::clone(&shared);
        let entering = async move {
            let entered = enter::enter(accepted, peer, &mut seat, theirs).await;
            (seat, entered)
        };
        Self { stage: Stage::Entering(Box::pin(entering)), shared, _count: count }
    }
}

impl Future for Life {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            self.stage = match &mut self.stage {
                Stage::Serving(driver, _) => {
                    let ended = ready!(driver.poll(cx));
                    match std::mem::replace(&mut self.stage, Stage::Over) {
                        Stage::Serving(driver, seat) => {
                            Stage::Leaving(Box::pin(leave(driver, seat, ended)))
                        }
                        other => other,
                    }
                }
                Stage::Entering(entering) => {
                    let (mut seat, entered) = ready!(entering.as_mut().poll(cx));
                    let Some((wire, connection)) = entered else {
                        self.stage = Stage::Over;
                        return Poll::Ready(());
                    };
                    seat.end_handshake();
                    let shared = Shared::clone(&self.shared);
                    let mut driver = Driver::new(wire, connection, seat.listener(), shared);
                    driver.catch_up();
                    if seat.listener().is_closed() {
                        // While it entered, those who had were told.
                        let notice = Notice::Disconnect(ReasonCode::AdministrativeAction);
                        driver.session.mailbox.notify(notice);
                    }
                    Stage::Serving(driver, seat)
                }
                Stage::Leaving(leaving) => {
                    ready!(leaving.as_mut().poll(cx));
                    Stage::Over
                }
                Stage::Over => return Poll::Ready(()),
            }
        }
    }
}

async fn leave(mut driver: Driver, seat: Seat, ended: Ended) {
    driver.say_goodbye(&ended);
    driver.see_through().await;
    depart(&driver, &ended);
    log(&driver.client, &seat.listener().name, &ended);
    driver.close().await;
    drop(seat);
}

/// With the fields of "client connected", in that order.
fn log(client: &Client, listener: &str, ended: &Ended) {
    let (client_id, peer, username) = (&*client.id, &*client.peer, client.name.as_deref());
    match ended {
        Ended::Disconnected(Departure { code, .. }) => {
            // MQTT 3 knows none.
            let code = code.filter(|_| client.version == Version::V5).map(departing);
            tracing::info!(client_id, peer, listener, username, code, "client disconnected");
        }
        Ended::Fault(fault, _) => {
            let (fault, code) = (fault.to_string(), fault.reason().to_string());
            tracing::info!(client_id, peer, listener, username, fault, code, "connection closed");
        }
        Ended::Lost(error) => {
            let error = error.as_ref().map(ToString::to_string);
            tracing::info!(client_id, peer, listener, username, error, "connection lost");
        }
    }
}

/// What DISCONNECT calls it.
fn departing(code: ReasonCode) -> &'static str {
    match code {
        ReasonCode::NORMAL_DISCONNECTION => "Normal disconnection",
        code => code.name(),
    }
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
