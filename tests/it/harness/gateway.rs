//! An address that stays while brokers come and go behind it. Must not know MQTT.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Hands bytes on in both directions. Connections that it accepts while nothing is behind it are closed.
pub(crate) struct Gateway {
    addr: SocketAddr,
    target: Arc<Mutex<Option<SocketAddr>>>,
}

impl Gateway {
    pub(crate) fn open(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let target = Arc::new(Mutex::new(Some(target)));
        let current = Arc::clone(&target);
        // Ends with the process.
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let target = *current.lock().unwrap();
                if let Some(Ok(far)) = target.map(TcpStream::connect) {
                    hand_on(&near, &far);
                    hand_on(&far, &near);
                }
            }
        });
        Self { addr, target }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// New connections lead there.
    pub(crate) fn lead_to(&self, target: SocketAddr) {
        *self.target.lock().unwrap() = Some(target);
    }

    /// New connections lead nowhere; those that are there stay.
    pub(crate) fn close(&self) {
        *self.target.lock().unwrap() = None;
    }
}

fn hand_on(from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    std::thread::spawn(move || {
        // However it ends, the other side is told that nothing more comes.
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}
