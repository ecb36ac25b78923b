//! What clients do: whatever they may, in random order; and, now and then, what they may not.

use std::num::{NonZeroU16, NonZeroU32};

use wasmqtt_codec::{
    Connect, ConnectProperties, Disconnect, Packet, Publish, QoS, ReasonCode, RetainHandling,
    Subscribe, Subscription, Unsubscribe, Version, Will,
};

use crate::client::Wish;
use crate::plan::{FILTERS, GROUPS, TOPICS};
use crate::world::World;

const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

impl World {
    /// One client does something.
    pub(crate) fn act(&mut self, at: usize) {
        let client = &self.clients[at];
        if client.link.is_none() {
            if self.random.chance(30) {
                self.come(at);
            }
            return;
        }
        if !client.is_welcome {
            if self.random.chance(2) {
                self.come(at);
            }
            return;
        }
        match self.random.below(100) {
            0..60 => self.publish(at),
            60..78 if client.waiting.len() < 40 => self.subscribe(at),
            78..83 if client.waiting.len() < 40 => self.unsubscribe(at),
            83..88 => self.ping(at),
            88..90 => self.say_goodbye(at),
            90..92 => self.hang_up(at),
            92..95 => self.come(at),
            95 if self.plan.is_rude => self.be_rude(at),
            _ => {}
        }
    }

    /// Connects, whether or not there is a connection already.
    pub(crate) fn come(&mut self, at: usize) {
        let is_at_odds = self.clients[at].is_at_odds;
        let random = &mut self.random;
        let (name, version) = (self.clients[at].name.clone(), self.clients[at].version);
        let v5 = version == Version::V5;
        let sequence = self.step;
        let payload = format!("will of {at} at {sequence}");
        let will = Will {
            qos: random.pick(&QOS),
            retain: random.chance(20),
            topic: random.pick(&["will/one", "t/a", "s/one"]),
            payload: payload.as_bytes(),
            delay_interval: if v5 { random.pick(&[0, 0, 2, 30]) } else { 0 },
            message_expiry_interval: if v5 { random.pick(&[None, Some(2)]) } else { None },
            properties: Default::default(),
        };
        let some = |random: &mut crate::random::Random, values: &[u32]| {
            if v5 && random.chance(50) { NonZeroU32::new(random.pick(values)) } else { None }
        };
        let properties = ConnectProperties {
            session_expiry_interval: some(random, &[1, 8, 60, 4000]).map(NonZeroU32::get),
            receive_maximum: some(random, &[1, 2, 5, 30])
                .and_then(|most| NonZeroU16::new(most.get() as u16)),
            maximum_packet_size: some(random, &[130, 200, 1000]),
            topic_alias_maximum: some(random, &[1, 2, 5, 100]).map_or(0, |most| most.get() as u16),
            request_problem_information: random.chance(50),
            ..ConnectProperties::default()
        };
        let connect = Connect {
            version,
            clean_start: name.is_empty() || is_at_odds || random.chance(25),
            keep_alive: random.pick(&[0, 0, 2, 20]),
            client_id: &name,
            username: None,
            password: None,
            will: random.chance(40).then_some(will),
            properties,
        };
        self.connect(at, &connect);
    }

    /// Connects as everybody does once all is well.
    pub(crate) fn come_back(&mut self, at: usize) {
        let (name, version) = (self.clients[at].name.clone(), self.clients[at].version);
        let v5 = version == Version::V5;
        let properties = ConnectProperties {
            session_expiry_interval: v5.then_some(3_600),
            ..ConnectProperties::default()
        };
        let connect = Connect {
            clean_start: name.is_empty() || self.clients[at].is_at_odds,
            keep_alive: self.plan.listener.keep_alive_max,
            properties,
            ..Connect::new(version, &name)
        };
        self.connect(at, &connect);
    }

    fn connect(&mut self, at: usize, connect: &Connect<'_>) {
        let mut bytes = Vec::new();
        Packet::Connect(Box::new(connect.clone()))
            .encode(connect.version, &mut bytes)
            .expect("a client that follows the rules");
        self.clients[at].keep_alive = connect.keep_alive;
        let id = self.open(at, &bytes);
        let (clean, will) = (connect.clean_start, connect.will.is_some());
        let version = connect.version;
        self.auditor.borrow_mut().note(format_args!(
            "client {at} connects as #{id} {version:?} clean={clean} will={will} {:?}",
            connect.properties.session_expiry_interval
        ));
    }

    fn publish(&mut self, at: usize) {
        let random = &mut self.random;
        let wish = Wish {
            topic: random.pick(&TOPICS),
            qos: random.pick(&QOS),
            retain: random.chance(25),
            expiry: random.chance(20).then(|| random.pick(&[1, 5, 60])),
            filler: random.pick(&[0, 3, 30, 150]),
            is_empty: random.chance(4),
            aliased: random.chance(50),
        };
        self.publish_wish(at, Wish { is_empty: wish.is_empty && wish.retain, ..wish });
    }

    /// Something for everybody, once all is well.
    pub(crate) fn publish_last(&mut self, at: usize) {
        for (number, topic) in TOPICS.into_iter().enumerate() {
            let qos = QOS[1 + number % 2];
            let (retain, expiry, aliased) = (false, None, false);
            let wish = Wish { topic, qos, retain, expiry, filler: 0, is_empty: false, aliased };
            self.publish_wish(at, wish);
        }
    }

    fn publish_wish(&mut self, at: usize, wish: Wish) {
        let mut out = Vec::new();
        self.clients[at].publish(wish, &mut out);
        self.send(at, &out);
    }

    fn subscribe(&mut self, at: usize) {
        let random = &mut self.random;
        let handling =
            [RetainHandling::SendAtSubscribe, RetainHandling::SendIfNew, RetainHandling::DoNotSend];
        let v5 = self.clients[at].version == Version::V5;
        let count = 1 + random.index(3);
        let subscriptions: Vec<Subscription<'_>> = (0..count)
            .map(|_| {
                let filter = match self.plan.has_groups && random.chance(20) {
                    true => random.pick(&GROUPS),
                    // A filter that is none is refused in its SUBACK; 3.1 has no code for that.
                    false => random.pick(if self.plan.is_rude { &FILTERS } else { &FILTERS[..15] }),
                };
                let qos = random.pick(&QOS);
                let shared = filter.starts_with("$share/");
                match v5 {
                    false => Subscription::new(filter, qos),
                    true => Subscription {
                        no_local: !shared && random.chance(30),
                        retain_as_published: random.chance(50),
                        retain_handling: random.pick(&handling),
                        ..Subscription::new(filter, qos)
                    },
                }
            })
            .collect();
        let identifier = match v5 && random.chance(50) {
            true => NonZeroU32::new(1 + random.below(20) as u32),
            false => None,
        };
        let packet_id = self.clients[at].fresh_id();
        self.clients[at].waiting.insert(packet_id.get());
        self.send_packet(
            at,
            &Packet::Subscribe(Subscribe {
                packet_id,
                subscription_identifier: identifier,
                user_properties: Default::default(),
                subscriptions,
            }),
        );
    }

    fn unsubscribe(&mut self, at: usize) {
        let packet_id = self.clients[at].fresh_id();
        self.clients[at].waiting.insert(packet_id.get());
        let filters = vec![self.random.pick(&FILTERS[..15]), self.random.pick(&GROUPS)];
        let user_properties = Default::default();
        let unsubscribe = Unsubscribe { packet_id, user_properties, filters };
        self.send_packet(at, &Packet::Unsubscribe(unsubscribe));
    }

    pub(crate) fn ping(&mut self, at: usize) {
        self.send_packet(at, &Packet::PingReq);
    }

    fn send_packet(&mut self, at: usize, packet: &Packet<'_>) {
        let mut out = Vec::new();
        let version = self.clients[at].version;
        packet.encode(version, &mut out).expect("a client that follows the rules");
        self.send(at, &out);
    }

    /// DISCONNECT, in one of its forms, and the end of the stream.
    fn say_goodbye(&mut self, at: usize) {
        let random = &mut self.random;
        let disconnect = match random.chance(50) {
            true => Disconnect::new(ReasonCode::NORMAL_DISCONNECTION),
            false => Disconnect::new(ReasonCode::DisconnectWithWill),
        };
        self.send_packet(at, &Packet::Disconnect(disconnect));
        self.hang_up(at);
    }

    pub(crate) fn hang_up(&mut self, at: usize) {
        if let Some(line) = self.clients[at].link.and_then(|id| self.lines.get_mut(&id)) {
            line.up.end();
            line.down.abandon();
        }
        let link = self.clients[at].link;
        self.clients[at].begin(None);
        if let Some(id) = link {
            self.sweep(id);
        }
    }

    /// Breaks a rule. Whatever the broker does to this connection is its right; to others it is not.
    fn be_rude(&mut self, at: usize) {
        let Some(link) = self.clients[at].link else { return };
        let version = self.clients[at].version;
        self.auditor.borrow_mut().rude(link);
        let mut bytes = Vec::new();
        let publish = Publish {
            dup: false,
            qos: QoS::AtMostOnce,
            retain: false,
            topic: "t/a",
            packet_id: None,
            properties: Default::default(),
            payload: b"rude",
        };
        match self.random.below(7) {
            5.. => {
                let most = self.plan.listener.receive_maximum;
                self.clients[at].exceed(most + 1, &mut bytes);
            }
            0 => bytes.extend([0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
            1 => bytes.extend([0x30, 0x04, 0x00, 0x05, b'a', b'b']),
            2 => {
                let second = Packet::Connect(Box::new(Connect::new(version, "client0")));
                second.encode(version, &mut bytes).expect("a packet that is right by itself");
            }
            3 if version == Version::V5 => {
                let mut publish = publish;
                publish.topic = "";
                publish.properties.topic_alias = NonZeroU16::new(u16::MAX);
                let packet = Packet::Publish(publish);
                packet.encode(version, &mut bytes).expect("a packet that is right by itself");
            }
            _ => {
                let big = vec![b'x'; 2 << 20];
                let packet = Packet::Publish(Publish { payload: &big, ..publish });
                packet.encode(version, &mut bytes).expect("a packet that is right by itself");
                bytes.truncate(3_000);
            }
        }
        self.send(at, &bytes);
    }
}
