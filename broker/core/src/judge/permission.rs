//! Permissions that came with the identity at login, evaluated without calling anybody.

use std::sync::atomic::{AtomicBool, Ordering};

use wasmqtt_codec::{QoS, ReasonCode, topic};

use super::{Action, Decision, Refusal, Request};

/// Whether a permission gives or takes.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Gives.
    Allow,
    /// Takes.
    Deny,
}

/// Which actions a permission, or an authorizer, is about. A will is a publish.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Actions {
    /// [`Action::Publish`] and [`Action::Will`].
    pub publish: bool,
    /// [`Action::Subscribe`].
    pub subscribe: bool,
    /// [`Action::Receive`].
    pub receive: bool,
}

impl Actions {
    /// Every action.
    pub const ALL: Self = Self { publish: true, subscribe: true, receive: true };

    /// Whether `action` is one of these.
    pub fn contain(self, action: Action) -> bool {
        match action {
            Action::Publish | Action::Will => self.publish,
            Action::Subscribe => self.subscribe,
            Action::Receive => self.receive,
        }
    }
}

/// One rule of an identity.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Permission {
    /// Gives or takes.
    pub effect: Effect,
    /// May hold `${client_id}`, `${username}` and `${attribute.NAME}` until it is [resolved](Permissions::resolve).
    pub filter: String,
    /// What it is about.
    pub actions: Actions,
    /// Only requests up to this QoS match.
    pub max_qos: Option<QoS>,
    /// Only publications with, or only those without, the retain flag match.
    pub retain: Option<bool>,
}

/// The permissions of one client, variables resolved. What allows holds until it is [withdrawn](Self::withdraw).
#[derive(Debug, Default)]
pub struct Permissions {
    rules: Box<[Permission]>,
    withdrawn: AtomicBool,
}

impl Clone for Permissions {
    fn clone(&self) -> Self {
        let withdrawn = AtomicBool::new(self.withdrawn.load(Ordering::Relaxed));
        Self { rules: self.rules.clone(), withdrawn }
    }
}

impl Permissions {
    /// Fills in the variables. What an allowing permission cannot fill in, because the variable has no value or one that
    /// holds a wildcard or a level separator, matches nothing: a name like `+` must never widen a rule. Neither may a
    /// name like `$SYS` lead a filter to topics that it would not reach otherwise. A denying one then matches more
    /// rather than less.
    pub fn resolve<'a>(
        permissions: &[Permission],
        value: impl Fn(&str) -> Option<&'a str>,
    ) -> Self {
        let plain = |name: &str| value(name).filter(|value| !value.contains(['+', '#', '/']));
        let wide = |name: &str| plain(name).filter(|value| !value.is_empty()).or(Some("+"));
        let resolved = permissions.iter().filter_map(|permission| {
            let filter = match permission.effect {
                Effect::Allow => substitute(&permission.filter, &plain)
                    .filter(|filter| filter.starts_with('$') == is_dollar(&permission.filter))?,
                Effect::Deny => {
                    let filter = substitute(&permission.filter, &wide).unwrap_or_default();
                    // `x+` is no filter: where a part of a level is unknown, everything is denied.
                    let valid = wasmqtt_codec::Filter::parse(&filter).is_ok();
                    if valid { filter } else { "#".into() }
                }
            };
            wasmqtt_codec::Filter::parse(&filter).ok()?;
            Some(Permission { filter, ..permission.clone() })
        });
        Self { rules: resolved.collect(), withdrawn: AtomicBool::new(false) }
    }

    /// Whether any permission is about [`Action::Receive`]: only then deliveries have to be looked at.
    pub fn judge_receive(&self) -> bool {
        self.rules
            .iter()
            .any(|permission| permission.actions.receive && permission.effect == Effect::Deny)
    }

    /// Ends every permission that allows something; those that deny stay. For whoever finds that the identity they came
    /// with no longer holds: from now on the chain is asked.
    pub fn withdraw(&self) {
        self.withdrawn.store(true, Ordering::Relaxed);
    }

    /// The first permission that matches decides; none when no one does.
    ///
    /// An allowed subscription must be covered by the permission's filter; a denied one need only overlap it,
    /// so that a subscription to `#` never leaks what is denied below it.
    pub fn decide(&self, request: &Request<'_>) -> Option<Decision> {
        Some(match self.deciding(request)?.effect {
            Effect::Allow => Decision::Allow,
            Effect::Deny => Decision::Deny(Refusal::new(ReasonCode::NotAuthorized)),
        })
    }

    /// The permission that [decides](Self::decide), its variables filled in.
    pub fn deciding(&self, request: &Request<'_>) -> Option<&Permission> {
        if self.rules.is_empty() {
            return None;
        }
        let withdrawn = self.withdrawn.load(Ordering::Relaxed);
        let mut holding =
            self.rules.iter().filter(|rule| !withdrawn || rule.effect == Effect::Deny);
        holding.find(|permission| permission.matches(request))
    }
}

impl Permission {
    fn matches(&self, request: &Request<'_>) -> bool {
        self.actions.contain(request.action)
            && self.max_qos.is_none_or(|max| request.qos <= max)
            && self.retain.is_none_or(|retain| request.retain == retain)
            && match (request.action, self.effect) {
                (Action::Subscribe, Effect::Allow) => topic::covers(&self.filter, request.topic),
                (Action::Subscribe, Effect::Deny) => topic::overlaps(&self.filter, request.topic),
                _ => topic::matches(&self.filter, request.topic),
            }
    }
}

/// Whether a filter with variables is written to begin with `$`.
fn is_dollar(filter: &str) -> bool {
    filter.starts_with('$') && !filter.starts_with("${")
}

fn substitute<'a>(filter: &str, value: &impl Fn(&str) -> Option<&'a str>) -> Option<String> {
    let mut out = String::with_capacity(filter.len());
    let mut rest = filter;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, behind) = after.split_once('}')?;
        let value = value(name).filter(|value| !value.is_empty())?;
        out.push_str(before);
        out.push_str(value);
        rest = behind;
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permission(effect: Effect, filter: &str) -> Permission {
        Permission {
            effect,
            filter: filter.into(),
            actions: Actions::ALL,
            max_qos: None,
            retain: None,
        }
    }

    fn request(action: Action, topic: &str) -> Request<'_> {
        Request { action, topic, share: None, qos: QoS::AtMostOnce, retain: false }
    }

    fn resolve(permissions: &[Permission], username: &'static str) -> Permissions {
        Permissions::resolve(permissions, |name| (name == "username").then_some(username))
    }

    #[test]
    fn the_first_match_wins_and_no_match_leaves_it_to_the_chain() {
        let permissions =
            resolve(&[permission(Effect::Deny, "a/secret"), permission(Effect::Allow, "a/#")], "u");
        assert_eq!(permissions.decide(&request(Action::Publish, "a/b")), Some(Decision::Allow));
        assert!(matches!(
            permissions.decide(&request(Action::Publish, "a/secret")),
            Some(Decision::Deny(_))
        ));
        assert_eq!(permissions.decide(&request(Action::Publish, "b")), None);
    }

    #[test]
    fn a_subscription_that_reaches_a_denied_topic_is_denied() {
        let permissions =
            resolve(&[permission(Effect::Deny, "secret/#"), permission(Effect::Allow, "#")], "u");
        assert!(matches!(
            permissions.decide(&request(Action::Subscribe, "#")),
            Some(Decision::Deny(_))
        ));
        assert_eq!(
            permissions.decide(&request(Action::Subscribe, "open/+")),
            Some(Decision::Allow)
        );
    }

    #[test]
    fn an_allowed_filter_must_cover_the_whole_subscription() {
        let permissions = resolve(&[permission(Effect::Allow, "devices/${username}/#")], "alice");
        assert_eq!(
            permissions.decide(&request(Action::Subscribe, "devices/alice/+")),
            Some(Decision::Allow)
        );
        assert_eq!(permissions.decide(&request(Action::Subscribe, "devices/+/temp")), None);
    }

    #[test]
    fn a_name_with_wildcards_or_separators_never_widens_a_permission() {
        for name in ["+", "#", "a/b", ""] {
            let permissions = resolve(&[permission(Effect::Allow, "devices/${username}/#")], name);
            assert_eq!(
                permissions.decide(&request(Action::Publish, "devices/x/y")),
                None,
                "{name}"
            );
        }
    }

    #[test]
    fn a_name_never_leads_a_permission_to_topics_that_begin_with_a_dollar_sign() {
        for (filter, name) in
            [("${username}/#", "$SYS"), ("${username}YS/#", "$S"), ("${username}/g/#", "$share")]
        {
            let permissions = resolve(&[permission(Effect::Allow, filter)], name);
            for action in [Action::Publish, Action::Subscribe] {
                assert_eq!(permissions.decide(&request(action, "$SYS/broker")), None, "{filter}");
            }
            assert_eq!(permissions.rules.len(), 0, "{filter}");
        }
        let permissions = resolve(&[permission(Effect::Allow, "$SYS/${username}/#")], "x");
        let asked = request(Action::Subscribe, "$SYS/x/y");
        assert_eq!(permissions.decide(&asked), Some(Decision::Allow));
        let permissions = resolve(&[permission(Effect::Deny, "${username}/#")], "$SYS");
        let denied = permissions.decide(&request(Action::Subscribe, "$SYS/x"));
        assert!(matches!(denied, Some(Decision::Deny(_))));
    }

    #[test]
    fn a_value_is_no_template_and_one_part_of_a_level_is_as_safe_as_a_whole_one() {
        let permissions = resolve(&[permission(Effect::Allow, "a/${username}")], "${client_id}");
        let literal = request(Action::Publish, "a/${client_id}");
        assert_eq!(permissions.decide(&literal), Some(Decision::Allow));
        for name in ["+", "#", "1/+", "1\0"] {
            let permissions = resolve(&[permission(Effect::Allow, "a/dev-${username}/x")], name);
            assert!(permissions.rules.is_empty(), "{name:?}");
        }
    }

    #[test]
    fn withdrawn_permissions_allow_nothing_and_deny_what_they_did() {
        let rules = [permission(Effect::Deny, "a/secret"), permission(Effect::Allow, "a/#")];
        let permissions = resolve(&rules, "u");
        permissions.withdraw();
        assert_eq!(permissions.decide(&request(Action::Publish, "a/b")), None);
        let denied = permissions.clone().decide(&request(Action::Publish, "a/secret"));
        assert!(matches!(denied, Some(Decision::Deny(_))));
        assert_eq!(permissions.clone().decide(&request(Action::Publish, "a/b")), None);
    }

    #[test]
    fn a_denial_whose_variable_cannot_be_filled_in_denies_more_and_not_less() {
        for name in ["+", "#", "a/b", ""] {
            let rules = [
                permission(Effect::Deny, "secret/${username}/key"),
                permission(Effect::Deny, "part/x${attribute.none}"),
                permission(Effect::Allow, "#"),
            ];
            let permissions = resolve(&rules[..1], name);
            let denied = permissions.decide(&request(Action::Publish, "secret/any/key"));
            assert!(matches!(denied, Some(Decision::Deny(_))), "{name}");
            let permissions = resolve(&rules[1..], name);
            let denied = permissions.decide(&request(Action::Publish, "open"));
            assert!(matches!(denied, Some(Decision::Deny(_))), "{name}");
        }
    }

    #[test]
    fn qos_and_retain_narrow_a_permission() {
        let narrow = Permission {
            max_qos: Some(QoS::AtMostOnce),
            retain: Some(false),
            ..permission(Effect::Allow, "a")
        };
        let permissions = resolve(&[narrow], "u");
        assert_eq!(permissions.decide(&request(Action::Publish, "a")), Some(Decision::Allow));
        let louder = Request { qos: QoS::AtLeastOnce, ..request(Action::Publish, "a") };
        assert_eq!(permissions.decide(&louder), None);
        let retained = Request { retain: true, ..request(Action::Publish, "a") };
        assert_eq!(permissions.decide(&retained), None);
    }
}
