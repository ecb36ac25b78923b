//! Failed logins, by address and by user name, and who is refused for a while because of them. Must not know whether
//! there is such a user.

use wasmqtt_codec::ReasonCode;

use super::Broker;
use super::jail::Jail;
use crate::judge::Refusal;
use crate::limits::{FailedLogins, Flapping};
use crate::time::Moment;

/// Failures of everybody; bounded.
#[derive(Debug, Default)]
pub(super) struct Failures {
    addresses: Jail,
    names: Jail,
}

/// Who tries to log in.
#[derive(Copy, Clone, Debug, Default)]
pub struct Applicant<'a> {
    /// In any spelling that is the same each time; none = from this machine.
    pub address: Option<&'a str>,
    /// As it is in CONNECT.
    pub name: Option<&'a str>,
}

/// Who is refused for a while, because of the failure that was just counted.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Banned {
    /// Everybody from that address.
    pub address: bool,
    /// Everybody under that name.
    pub name: bool,
}

impl Broker {
    /// Whether anybody may be asked who this is. For the shell to call before it asks, and again with the answer: many
    /// may have been asked about at once.
    ///
    /// # Errors
    /// 0x8A, while the address or the name is banned.
    pub fn may_log_in(
        &self,
        now: Moment,
        who: Applicant<'_>,
        limits: &FailedLogins,
    ) -> Result<(), Refusal> {
        let Failures { addresses, names } = &self.failures;
        let address = who.address.filter(|_| limits.per_address > 0);
        let name = who.name.filter(|_| limits.per_name > 0);
        let address = address.and_then(|address| addresses.banned(now, address));
        let name = name.and_then(|name| names.banned(now, name));
        match address.max(name) {
            Some(until) => {
                let seconds = until.seconds_left(now).unwrap_or(0);
                let why = format!("too many failed logins; try again in {seconds} s");
                Err(Refusal::new(ReasonCode::Banned).because(why))
            }
            None => Ok(()),
        }
    }

    /// Counts an answer that was no, and says whom that bans.
    pub fn login_failed(&self, now: Moment, who: Applicant<'_>, limits: &FailedLogins) -> Banned {
        let FailedLogins { per_address, per_name, within, ban } = *limits;
        let count = |jail: &Jail, key: Option<&str>, most: u32| {
            key.filter(|_| most > 0).is_some_and(|key| {
                let bound = Flapping { connects: most, within, ban };
                jail.banned(now, key).is_none() && jail.count(now, key, &bound).is_some()
            })
        };
        Banned {
            address: count(&self.failures.addresses, who.address, per_address),
            name: count(&self.failures.names, who.name, per_name),
        }
    }
}
