//! AUTH: before CONNACK, and of a client that authenticates again.

mod rounds;

use wasmqtt_codec::{
    Auth, Connect, ConnectProperties, Disconnect, Packet, PacketType, ReasonCode,
    UserPropertiesBuf, Version,
};
use wasmqtt_core::client::{ListenerId, Transport};
use wasmqtt_core::connection::Departure;
use wasmqtt_core::connection::handshake::{self, Hello};
use wasmqtt_core::fault::Fault;
use wasmqtt_core::judge::{
    Actions, Effect, Identity, Permission, Progress, Question, Refusal, Step,
};

use rounds::{METHOD, Rounds, named};

use crate::wire::{Client, Q1, Refused, Sent, Told, Wire, clean, packets, will};

/// What becomes of a CONNECT.
enum Entered {
    Client(Box<Client>, Vec<Told>),
    Refused(Refused),
}

fn connect<'a>(id: &'a str, method: &'a str, data: &'a str) -> Connect<'a> {
    let properties = ConnectProperties {
        authentication_method: Some(method),
        authentication_data: Some(data.as_bytes()),
        ..ConnectProperties::default()
    };
    Connect { properties, ..clean(Version::V5, id) }
}

fn auth<'a>(reason: ReasonCode, method: &'a str, data: &'a str) -> Packet<'a> {
    let data = Some(data.as_bytes());
    Packet::Auth(Auth { reason, method: Some(method), data, ..Auth::default() })
}

fn answer(data: &str) -> Packet<'_> {
    auth(ReasonCode::ContinueAuthentication, METHOD, data)
}

fn again(data: &str) -> Packet<'_> {
    auth(ReasonCode::ReAuthenticate, METHOD, data)
}

fn bytes(packet: &Packet<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet.encode(Version::V5, &mut bytes).unwrap();
    bytes
}

fn hello(connect: &Connect<'_>) -> Box<Hello> {
    let bytes = bytes(&Packet::Connect(Box::new(connect.clone())));
    handshake::receive(packets(&bytes)[0], ListenerId(0), Transport::Tcp, "here:1").unwrap()
}

fn told(bytes: &[u8]) -> Vec<Told> {
    let told = |frame| match wasmqtt_codec::decode(Version::V5, frame).unwrap() {
        Packet::Auth(auth) => Told {
            reason: auth.reason,
            method: auth.method.map(str::to_owned),
            data: auth.data.map(<[u8]>::to_vec),
            reason_string: auth.reason_string.map(str::to_owned),
            user_properties: Vec::new(),
        },
        other => panic!("{other:?}"),
    };
    packets(bytes).into_iter().map(told).collect()
}

fn challenge(data: &str) -> Told {
    Told {
        reason: ReasonCode::ContinueAuthentication,
        method: Some(METHOD.into()),
        data: Some(data.into()),
        ..Told::default()
    }
}

fn success() -> Told {
    Told { reason: ReasonCode::Success, data: Some(b"welcome".to_vec()), ..challenge("") }
}

impl Wire {
    /// Connects, answering challenges with these packets.
    fn enter(&mut self, gate: &Rounds, connect: &Connect<'_>, answers: &[Packet<'_>]) -> Entered {
        let mut hello = hello(connect);
        let mut out = Vec::new();
        let identity = self.prove(gate, &mut hello, answers, &mut out);
        let told = told(&out);
        match identity.and_then(|identity| {
            self.admit(&hello, identity).map_err(|refused| Refusal::new(refused.code))
        }) {
            Ok(client) => Entered::Client(Box::new(client), told),
            Err(refusal) => {
                let mut out = Vec::new();
                handshake::refuse(&hello, &refusal, &mut out);
                let refused = match packets(&out)
                    .first()
                    .map(|frame| wasmqtt_codec::decode(Version::V5, *frame).unwrap())
                {
                    Some(Packet::ConnAck(connack)) => {
                        Refused { code: connack.reason, reason: None }
                    }
                    other => panic!("{other:?}"),
                };
                Entered::Refused(refused)
            }
        }
    }

    fn prove(
        &mut self,
        gate: &Rounds,
        hello: &mut Hello,
        answers: &[Packet<'_>],
        out: &mut Vec<u8>,
    ) -> Result<Identity, Refusal> {
        let wrong = |fault: Fault| Refusal::new(fault.reason());
        let mut question = hello.begin(self.now, &self.limits.auth).unwrap().map_err(wrong)?;
        let mut answers = answers.iter();
        loop {
            let step = question.ask(gate)?;
            if let Some(identity) = hello.answered(step, out).map_err(wrong)? {
                assert_eq!(answers.next(), None, "more answers than challenges");
                return Ok(identity);
            }
            let answer = bytes(answers.next().expect("a challenge more than answers"));
            question = hello.proceed(packets(&answer)[0]).map_err(wrong)?.expect("gone");
        }
    }

    fn entered(&mut self, gate: &Rounds, connect: &Connect<'_>) -> Client {
        match self.enter(gate, connect, &[]) {
            Entered::Client(client, _) => *client,
            Entered::Refused(refused) => panic!("{refused:?}"),
        }
    }

    fn refused(&mut self, connect: &Connect<'_>, answers: &[Packet<'_>]) -> ReasonCode {
        match self.enter(&Rounds::default(), connect, answers) {
            Entered::Refused(refused) => refused.code,
            Entered::Client(..) => panic!("let in"),
        }
    }

    /// Puts what a connected client wants to be asked to the gate, and says what comes of it.
    fn settle(&mut self, gate: &Rounds, client: &mut Client) -> Vec<Sent> {
        let question: Question = self.asked.take().expect("nothing was asked");
        let mut out = Vec::new();
        if let Err(fault) = self.renew(client, question.ask(gate), &mut out) {
            self.close(client, fault, Departure::LOST);
        }
        client.read(&out);
        client.inbox()
    }

    fn renew(
        &mut self,
        client: &mut Client,
        answer: Result<Step, Refusal>,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let connection = &mut client.connection;
        let Some(success) = connection.answered(answer, out)? else { return Ok(()) };
        let connecting = connection.connecting().unwrap();
        let (before, session) = (connection.client(), connection.session().clone());
        let attachment = connection.attachment();
        let renewed = self.broker.renew(
            self.now,
            connecting,
            &success.identity,
            before,
            &session,
            attachment,
        )?;
        let properties = &success.identity.connack_properties;
        let data = success.data.as_deref();
        connection.renewed(renewed.client, renewed.expires_at, data, properties, out)?;
        self.broker.rejudge(&mut self.lane, self.now, connection.client(), &session);
        Ok(())
    }
}

#[test]
fn connack_comes_after_as_many_rounds_as_it_takes_with_method_and_data() {
    for rounds in 0..7 {
        let mut wire = Wire::new();
        let answers: Vec<_> = (0..rounds).map(|_| answer("x")).collect();
        let (count, gate) = (rounds.to_string(), named("alice"));
        let connect = connect("c", METHOD, &count);
        let Entered::Client(client, told) = wire.enter(&gate, &connect, &answers) else {
            panic!("refused");
        };
        let expected: Vec<_> =
            (0..rounds).map(|n| challenge(&format!("{} more", rounds - n))).collect();
        assert_eq!(told, expected);
        assert_eq!(client.welcome.method.as_deref(), Some(METHOD));
        assert_eq!(client.welcome.data.as_deref(), Some(&b"welcome"[..]));
        assert_eq!(client.connection.client().name.as_deref(), Some("alice"));
    }
}

#[test]
fn nobody_gets_around_the_method_it_named() {
    let mut wire = Wire::new();
    let bad = ReasonCode::BadAuthenticationMethod;
    assert_eq!(wire.try_connect(&connect("c", METHOD, "")).err().unwrap().code, bad);
    // Not with half an exchange either.
    let mut hello = hello(&connect("c", METHOD, "1"));
    let question = hello.begin(wire.now, &wire.limits.auth).unwrap().unwrap();
    let challenged = hello.answered(question.ask(&Rounds::default()).unwrap(), &mut Vec::new());
    assert_eq!(challenged.unwrap().map(|_| ()), None);
    assert_eq!(wire.admit(&hello, Identity::default()).err().unwrap().code, bad);
    assert_eq!(wire.broker.sessions(), 0);
}

#[test]
fn a_method_that_nobody_speaks_and_a_refusal_in_any_round_end_with_their_code() {
    let mut wire = Wire::new();
    let bad = ReasonCode::BadAuthenticationMethod;
    assert_eq!(wire.refused(&connect("c", "OTHER", ""), &[]), bad);
    let refused = ReasonCode::BadUserNameOrPassword;
    assert_eq!(wire.refused(&connect("c", METHOD, "no"), &[]), refused);
    assert_eq!(wire.refused(&connect("c", METHOD, "2"), &[answer("x"), answer("no")]), refused);
}

#[test]
fn between_connect_and_connack_only_the_expected_auth_is_taken() {
    let disconnect = Packet::Disconnect(Disconnect::default());
    for (packet, code) in [
        (Packet::PingReq, ReasonCode::ProtocolError),
        (Packet::Publish(crate::wire::message("a", "x")), ReasonCode::ProtocolError),
        (Packet::Connect(Box::new(clean(Version::V5, "c"))), ReasonCode::ProtocolError),
        (again("x"), ReasonCode::ProtocolError),
        (auth(ReasonCode::Success, METHOD, "x"), ReasonCode::ProtocolError),
        (Packet::Auth(Auth::default()), ReasonCode::ProtocolError),
        (auth(ReasonCode::ContinueAuthentication, "OTHER", "x"), ReasonCode::ProtocolError),
    ] {
        let mut wire = Wire::new();
        assert_eq!(wire.refused(&connect("c", METHOD, "1"), &[packet]), code);
    }
    let mut hello = hello(&connect("c", METHOD, "1"));
    let question = hello.begin(Default::default(), &Wire::new().limits.auth).unwrap().unwrap();
    hello.answered(question.ask(&Rounds::default()).unwrap(), &mut Vec::new()).unwrap();
    assert!(hello.proceed(packets(&bytes(&disconnect))[0]).unwrap().is_none(), "good-bye");
    assert_eq!(hello.check_ahead(bytes(&disconnect)[0]), Ok(()));
    for packet in [Packet::PingReq, answer("x")] {
        let fault = hello.check_ahead(bytes(&packet)[0]).unwrap_err();
        assert_eq!(fault.reason(), ReasonCode::ProtocolError);
    }
    let plain = self::hello(&clean(Version::V5, "c"));
    assert_eq!(plain.check_ahead(bytes(&Packet::PingReq)[0]), Ok(()));
}

#[test]
fn rounds_data_and_time_of_an_exchange_are_bounded() {
    let mut wire = Wire::new();
    wire.limits.auth.rounds = 3;
    wire.limits.auth.data = 9;
    let quota = ReasonCode::QuotaExceeded;
    let answers = |count| (0..count).map(|_| answer("x")).collect::<Vec<_>>();
    let Entered::Client(..) = wire.enter(&named("a"), &connect("a", METHOD, "2"), &answers(2))
    else {
        panic!("three rounds are allowed");
    };
    assert_eq!(wire.refused(&connect("b", METHOD, "3"), &answers(3)), quota);
    let Entered::Client(..) =
        wire.enter(&named("a"), &connect("d", METHOD, "1"), &[answer("12345678")])
    else {
        panic!("nine bytes are allowed");
    };
    assert_eq!(wire.refused(&connect("e", METHOD, "1"), &[answer("123456789")]), quota);
    assert_eq!(wire.refused(&connect("f", METHOD, "1234567890"), &[]), quota);
    wire.limits.auth.timeout = 5;
    let mut hello = hello(&connect("g", METHOD, "1"));
    assert_eq!(hello.deadline(), None);
    let _ = hello.begin(wire.now, &wire.limits.auth);
    assert_eq!(hello.deadline(), Some(wire.now.after_secs(5)));
}

#[test]
fn a_challenge_that_the_client_cannot_take_is_not_sent() {
    let mut wire = Wire::new();
    let mut small = connect("c", METHOD, "1");
    small.properties.maximum_packet_size = 15.try_into().ok();
    assert_eq!(wire.refused(&small, &[]), ReasonCode::PacketTooLarge);
}

#[test]
fn a_connack_that_the_client_cannot_take_is_refused_before_anybody_is_asked() {
    let mut wire = Wire::new();
    let plain = |size: u32| {
        let properties =
            ConnectProperties { maximum_packet_size: size.try_into().ok(), ..Default::default() };
        Connect { properties, ..clean(Version::V5, "") }
    };
    let code = |wire: &mut Wire, connect: &Connect<'_>| {
        wire.broker.greet(wire.now, &hello(connect), &wire.limits).err().map(|no| no.code)
    };
    let fits = (5..200).find(|size| code(&mut wire, &plain(*size)).is_none()).unwrap();
    assert_eq!(code(&mut wire, &plain(fits - 1)), Some(ReasonCode::PacketTooLarge));
    assert_eq!(wire.connect(&plain(fits)).welcome.assigned.map(|id| id.len()), Some(37));
    assert_eq!(wire.try_connect(&plain(fits - 1)).err().unwrap().code, ReasonCode::PacketTooLarge);
    assert_eq!(wire.broker.sessions(), 1);
    // With an exchange, what it ends with has to fit, too.
    let mut scram = connect("c", METHOD, "");
    scram.properties.maximum_packet_size = fits.try_into().ok();
    let gate = named("alice");
    gate.identity.lock().limits.session_expiry = None;
    let size = (20..200).find(|size| {
        scram.properties.maximum_packet_size = (*size).try_into().ok();
        matches!(wire.enter(&gate, &scram, &[]), Entered::Client(..))
    });
    assert!(size.is_some_and(|size| size > METHOD.len() as u32 + 7), "{size:?}");
    // A client that cannot take any CONNACK is told nothing.
    let mut out = Vec::new();
    let refusal = Refusal::new(ReasonCode::PacketTooLarge);
    handshake::refuse(&hello(&plain(4)), &refusal, &mut out);
    assert!(out.is_empty(), "{out:?}");
    handshake::refuse(&hello(&plain(5)), &refusal, &mut out);
    assert_eq!(out, [0x20, 3, 0, 0x95, 0]);
}

#[test]
fn a_client_authenticates_again_while_its_other_packets_go_on() {
    let mut wire = Wire::new();
    let gate = named("alice");
    let with_password =
        Connect { username: Some("alice"), password: Some(b"x"), ..connect("", METHOD, "") };
    let mut client = wire.entered(&gate, &with_password);
    assert!(wire.send(&mut client, &again("1")).is_empty());
    wire.subscribe(&mut client, "#", Q1);
    assert_eq!(wire.settle(&gate, &mut client), [Sent::Auth(challenge("1 more"))]);
    wire.publish(&mut client, "a", Q1, "x");
    assert_eq!(wire.take_payloads(&mut client), ["x"]);
    assert!(wire.send(&mut client, &answer("x")).is_empty());
    assert_eq!(wire.send(&mut client, &Packet::PingReq), [Sent::PingResp]);
    assert_eq!(wire.settle(&gate, &mut client), [Sent::Auth(success())]);
    assert_eq!(client.closed, None);
    // The second time it has the identifier that it was given, and no password is kept for it.
    let seen = gate.seen.lock().clone();
    assert_eq!(seen, [(String::new(), true), (client.id(), false)]);
}

#[test]
fn a_re_authentication_that_fails_closes_the_connection() {
    let mut wire = Wire::new();
    let gate = named("alice");
    let mut client = wire.entered(&gate, &connect("c", METHOD, ""));
    wire.send(&mut client, &again("no"));
    // DISCONNECT has no word for a wrong password.
    let sent = wire.settle(&gate, &mut client);
    assert_eq!(sent, [Sent::Disconnect(ReasonCode::NotAuthorized)]);
    let mut client = wire.entered(&gate, &connect("c", METHOD, ""));
    *gate.identity.lock() = named("bob").identity.into_inner();
    wire.send(&mut client, &again(""));
    wire.settle(&gate, &mut client);
    assert_eq!(client.closed, Some(Fault::NameChanged));
}

#[test]
fn an_auth_that_nobody_expects_closes_the_connection() {
    let unexpected = Some(Fault::UnexpectedPacket(PacketType::Auth));
    for packet in [answer("x"), again("x"), Packet::Auth(Auth::default())] {
        let mut wire = Wire::new();
        let mut plain = wire.connect(&clean(Version::V5, "plain"));
        wire.send(&mut plain, &packet);
        assert_eq!(plain.closed, unexpected);
    }
    for packet in
        [answer("x"), auth(ReasonCode::Success, METHOD, ""), Packet::Auth(Auth::default())]
    {
        let mut wire = Wire::new();
        let mut client = wire.entered(&named("a"), &connect("c", METHOD, ""));
        wire.send(&mut client, &packet);
        assert_eq!(client.closed, unexpected);
    }
    let mut wire = Wire::new();
    let mut client = wire.entered(&named("a"), &connect("c", METHOD, ""));
    wire.send(&mut client, &again("1"));
    // A second one while the first is not answered.
    wire.send(&mut client, &again("1"));
    assert_eq!(client.closed, unexpected);
    let mut client = wire.entered(&named("a"), &connect("c", METHOD, ""));
    wire.send(&mut client, &auth(ReasonCode::ReAuthenticate, "OTHER", ""));
    assert_eq!(client.closed, Some(Fault::AuthenticationMethodChanged));
    for version in [Version::V31, Version::V311] {
        let mut client = wire.connect(&clean(version, "old"));
        wire.send_bytes(&mut client, &[0xF0, 0]);
        assert!(matches!(client.closed, Some(Fault::Decode(_))));
    }
}

#[test]
fn re_authentications_are_bounded_in_number_and_time() {
    let mut wire = Wire::new();
    (wire.limits.auth.reauthentications, wire.limits.auth.within) = (2, 10);
    wire.limits.auth.timeout = 3;
    let gate = named("a");
    let mut client = wire.entered(&gate, &connect("c", METHOD, ""));
    for _ in 0..2 {
        for _ in 0..2 {
            wire.send(&mut client, &again(""));
            assert_eq!(wire.settle(&gate, &mut client), [Sent::Auth(success())]);
        }
        wire.pass(10_000);
    }
    for _ in 0..2 {
        wire.send(&mut client, &again(""));
        wire.settle(&gate, &mut client);
    }
    wire.send(&mut client, &again(""));
    assert_eq!(client.closed, Some(Fault::TooManyAuthentications));
    let mut client = wire.entered(&gate, &connect("c", METHOD, ""));
    wire.send(&mut client, &again("1"));
    assert_eq!(client.connection.deadline(), Some(wire.now.after_secs(3)));
    wire.settle(&gate, &mut client);
    wire.pass(2_999);
    assert!(wire.pump(&mut client).is_empty());
    wire.pass(1);
    assert_eq!(wire.pump(&mut client), [Sent::Disconnect(ReasonCode::NotAuthorized)]);
    assert_eq!(client.closed, Some(Fault::AuthenticationTimeout));
}

#[test]
fn the_time_in_which_the_broker_does_not_read_is_not_the_client_s_who_authenticates_again() {
    let mut wire = Wire::new();
    wire.limits.auth.timeout = 3;
    let gate = named("a");
    let mut client = wire.entered(&gate, &connect("c", METHOD, ""));
    wire.send(&mut client, &again("1"));
    wire.settle(&gate, &mut client);
    wire.pass(2_000);
    client.connection.stop_reading(wire.now);
    // Whoever waits for the alarm excuses it then, too.
    for _ in 0..3 {
        wire.pass(5_000);
        client.connection.excuse(wire.now);
        assert_eq!(client.connection.overdue(wire.now), None);
        assert_eq!(client.connection.deadline(), Some(wire.now.after_secs(1)));
    }
    wire.pass(500);
    client.connection.read_on(wire.now);
    wire.pass(999);
    assert!(wire.pump(&mut client).is_empty());
    wire.pass(1);
    assert_eq!(wire.pump(&mut client), [Sent::Disconnect(ReasonCode::NotAuthorized)]);
    assert_eq!(client.closed, Some(Fault::AuthenticationTimeout));
}

#[test]
fn an_expiring_identity_ends_the_connection_unless_it_is_renewed() {
    let mut wire = Wire::new();
    let gate = named("alice");
    gate.identity.lock().expires_in = Some(10);
    let mut client = wire.entered(&gate, &connect("c", METHOD, ""));
    wire.pass(9_000);
    wire.send(&mut client, &again(""));
    wire.settle(&gate, &mut client);
    wire.pass(9_000);
    assert!(wire.pump(&mut client).is_empty());
    wire.pass(1_000);
    assert_eq!(wire.pump(&mut client), [Sent::Disconnect(ReasonCode::MaximumConnectTime)]);
    let mut client = wire.entered(&gate, &connect("c", METHOD, ""));
    gate.identity.lock().expires_in = None;
    wire.send(&mut client, &again(""));
    wire.settle(&gate, &mut client);
    wire.pass(1_000_000);
    assert!(wire.pump(&mut client).is_empty(), "the new identity has no end");
}

#[test]
fn the_new_identity_holds_for_everything_from_then_on() {
    let mut wire = Wire::new();
    let gate = named("alice");
    let of = |site: &str, filter: &str| Identity {
        name: Some("alice".into()),
        attributes: vec![("site".into(), site.into())],
        permissions: vec![
            Permission {
                effect: Effect::Allow,
                filter: filter.into(),
                actions: Actions::ALL,
                max_qos: None,
                retain: None,
            },
            Permission {
                effect: Effect::Deny,
                filter: "#".into(),
                actions: Actions::ALL,
                max_qos: None,
                retain: None,
            },
        ],
        ..Identity::default()
    };
    *gate.identity.lock() = of("berlin", "berlin/#");
    let connect = Connect { will: Some(will("berlin/will", "gone")), ..connect("c", METHOD, "") };
    let mut client = wire.entered(&gate, &connect);
    let mut other = wire.connect(&clean(Version::V5, "other"));
    wire.subscribe(&mut other, "#", Q1);
    assert_eq!(wire.subscribe(&mut client, "berlin/#", Q1), ReasonCode::GrantedQoS1);
    wire.publish(&mut other, "berlin/waits", Q1, "x");
    *gate.identity.lock() = of("paris", "paris/#");
    wire.send(&mut client, &again(""));
    assert_eq!(wire.settle(&gate, &mut client), [Sent::Auth(success())]);
    assert!(wire.take(&mut client).is_empty(), "what waited came by a right that is gone");
    let no = ReasonCode::NotAuthorized;
    assert_eq!(wire.publish(&mut client, "berlin/x", Q1, "x"), no);
    assert_eq!(wire.subscribe(&mut client, "berlin/#", Q1), no);
    assert_eq!(wire.subscribe(&mut client, "paris/#", Q1), ReasonCode::GrantedQoS1);
    let now = std::sync::Arc::clone(client.connection.client());
    assert_eq!(now.attribute("site"), Some("paris"));
    wire.take(&mut other);
    // The will is judged by what holds when it is published.
    wire.script().asked.clear();
    wire.lose(client);
    assert!(wire.take(&mut other).is_empty());
    assert!(!wire.script().asked.iter().any(|asked| format!("{asked:?}").contains("berlin/will")));
}

#[test]
fn the_end_of_a_re_authentication_brings_user_properties_to_who_takes_them() {
    let mut properties = UserPropertiesBuf::new();
    properties.push("region", &"x".repeat(100)).unwrap();
    for (size, wants, expected) in [(None, true, 1), (None, false, 0), (Some(90), true, 0)] {
        let mut wire = Wire::new();
        let gate = named("alice");
        gate.identity.lock().connack_properties = properties.clone();
        let mut connect = connect("c", METHOD, "");
        connect.properties.maximum_packet_size = size.and_then(|size: u32| size.try_into().ok());
        connect.properties.request_problem_information = wants;
        let mut client = wire.entered(&gate, &connect);
        wire.send(&mut client, &again(""));
        match wire.settle(&gate, &mut client).as_slice() {
            [Sent::Auth(told)] => {
                assert_eq!(told.user_properties.len(), expected);
                assert_eq!(told.data.as_deref(), Some(&b"welcome"[..]));
                assert_eq!(told.reason_string, None);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn authentication_data_never_shows_in_what_is_logged() {
    let mut hello = hello(&connect("c", METHOD, "hunter2"));
    let secret = format!("{:?}", b"hunter2");
    let hidden = |shown: String| assert!(!shown.contains("hunter2") && !shown.contains(&secret));
    hidden(format!("{hello:?}"));
    let question = hello.begin(Default::default(), &Wire::new().limits.auth);
    hidden(format!("{hello:?} {question:?}"));
    let progress = Progress { authenticator: "x".into(), state: Box::from(*b"hunter2") };
    hidden(format!("{progress:?}"));
}
