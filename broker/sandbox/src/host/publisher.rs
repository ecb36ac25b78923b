//! The `publisher` capability: messages of the plugin's own, to the topics it was granted. They wait in an
//! [`Outbox`](crate::outbox::Outbox); nothing is routed here.

use wasmqtt_codec::{MessagePropertiesBuf, Topic};
use wasmqtt_core::message::{Message, Origin, Parts};

use super::Host;
use super::messages::{PROPERTIES_MAX, excerpt};
use crate::bindings::wasmqtt::plugin::publisher;
use crate::bindings::wasmqtt::plugin::publisher::Publication;
use crate::convert;
use crate::outbox::HOPS_MAX;

impl publisher::Host for Host {
    fn publish(&mut self, publication: Publication) -> Result<(), String> {
        let topic = excerpt(&publication.topic).to_owned();
        self.leave(publication).map_err(|error| format!("publish to `{topic}`: {error}"))
    }
}

impl Host {
    fn leave(&self, publication: Publication) -> Result<(), String> {
        // An import without a grant is not linked.
        let Some(publisher) = &self.surroundings.publisher else {
            return Err("it has no `grants.publish`".into());
        };
        let Some(hops) = self.cause else {
            return Err("init cannot publish: the plugin may never be put in place".into());
        };
        if hops >= HOPS_MAX {
            return Err(format!(
                "it would be hop {} of plugins that publish in reaction to each other; the most \
                 are {HOPS_MAX}",
                hops.saturating_add(1)
            ));
        }
        Topic::parse(&publication.topic).map_err(|error| error.to_string())?;
        if !publisher.may(&publication.topic) {
            return Err("outside of its grants; the operator may add a filter that matches to \
                        `grants.publish`"
                .into());
        }
        let properties = properties(&publication)?;
        let parts = Parts {
            topic: &publication.topic,
            properties: properties.as_view(),
            payload: &publication.payload,
            qos: convert::core_qos(publication.qos),
            retain: publication.retain,
            origin: Origin::Plugin,
            expires_at: None,
        };
        publisher.publish(Message::new(parts, None).after(hops + 1))
    }
}

fn properties(publication: &Publication) -> Result<MessagePropertiesBuf, String> {
    let mut properties = MessagePropertiesBuf::default();
    properties
        .set_content_type(publication.content_type.as_deref())
        .map_err(|error| format!("content type: {error}"))?;
    for property in &publication.user_properties {
        properties
            .add_user_property(&property.name, &property.value)
            .map_err(|error| format!("user property: {error}"))?;
        if properties.as_bytes().len() > PROPERTIES_MAX {
            return Err(format!("more than {PROPERTIES_MAX} bytes of properties"));
        }
    }
    Ok(properties)
}
