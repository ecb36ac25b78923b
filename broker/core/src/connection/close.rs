//! The last packet of a connection that the broker ends. 3.x has none.

use wasmqtt_codec::{Disconnect, ReasonCode, Version};

use super::Connection;
use crate::fault::Fault;

impl Connection {
    /// Writes what the client is told when the broker ends the connection [MQTT-4.13.1-1]. What is nice to have gives
    /// way to the client's Maximum Packet Size [MQTT-3.14.2-3], and the whole packet to one that is smaller still.
    pub fn close(&self, fault: &Fault, out: &mut Vec<u8>) {
        if self.version != Version::V5 {
            return;
        }
        let said = match fault {
            // The code says as much.
            Fault::Ordered(_) | Fault::TakenOver => None,
            Fault::Dismissed(_, why) => Some(why.to_string()).filter(|_| self.problem_information),
            other => Some(other.to_string()).filter(|_| self.problem_information),
        };
        let server_reference = match fault {
            Fault::Redirected(redirect) => Some(&*redirect.to),
            _ => None,
        };
        let bare = Disconnect::new(fault.reason());
        let referring = Disconnect { server_reference, ..bare };
        let full = Disconnect { reason_string: said.as_deref(), ..referring };
        let unspecified = Disconnect::new(ReasonCode::UnspecifiedError);
        let _ = [full, referring, bare, unspecified].iter().any(|packet| self.fits(packet, out));
    }

    fn fits(&self, disconnect: &Disconnect<'_>, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        let fits =
            disconnect.encode(self.version, out).is_ok() && out.len() - start <= self.largest;
        if !fits {
            out.truncate(start);
        }
        fits
    }
}
