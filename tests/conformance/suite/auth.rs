//! AUTH: where nobody has begun an exchange, and the exchanges of a SCRAM user.

use crate::harness::scram::{METHOD, PASSWORD, first, last};
use crate::harness::{Broker, Client, Hello, Packet, Prop, Version, frame, packet, prop};

const V5: Version = Version::V5;

/// v5: 4.12.0-7
#[test]
fn auth_without_a_method_in_connect_is_a_protocol_error() {
    let broker = Broker::start();
    let method = prop::block(&[prop::authentication_method("x")]);
    for bytes in [
        vec![0xF0, 0],
        frame(0xF0, &[&[0x19], &method]),
        frame(0xF0, &[&[0x18], &method]),
        frame(0xF0, &[&[0x00], &method]),
    ] {
        broker.client(V5, "auth").fault(&bytes, 0x82);
    }
}

/// v5: 3.15.1-1, 2.1.3-1
#[test]
fn reserved_flags_of_auth_are_malformed() {
    let broker = Broker::start();
    for flags in 1..16 {
        broker.client(V5, "flags").fault(&[0xF0 | flags, 0], 0x81);
    }
}

/// v5: 4.12.0-6
#[test]
fn who_brings_no_method_is_told_none() {
    let broker = Broker::start();
    let client = broker.connect(&Hello::new(V5, "plain").login(Some("user"), Some(b"password")));
    let auth = [prop::AUTHENTICATION_METHOD, prop::AUTHENTICATION_DATA];
    assert!(!client.props.iter().any(|prop| auth.contains(&prop.id())));
}

/// v5: 4.12.0-1, 3.2.2-7, 3.1.4-2
#[test]
fn an_unknown_method_is_refused() {
    let broker = Broker::start();
    for method in ["", "unknown", "SCRAM-SHA-1", "漢字"] {
        let hello = Hello::new(V5, "method").with(prop::authentication_method(method));
        assert_eq!(broker.refusal(V5, &hello.bytes()), Some(0x8C), "{method:?}");
    }
}

#[test]
fn auth_packets_that_are_malformed_close_the_connection() {
    let broker = Broker::start();
    for bytes in [
        frame(0xF0, &[&[0x18]]),
        frame(0xF0, &[&[0x18, 0]]),
        frame(0xF0, &[&[0x18, 3, 0x15, 0]]),
        frame(0xF0, &[&[0x55, 0]]),
        frame(0xF0, &[&[0x18], &prop::block(&[prop::topic_alias(1)])]),
    ] {
        let mut client = broker.client(V5, "auth");
        client.send(&bytes);
        assert!(matches!(client.end(), Some(0x81 | 0x82)));
    }
    broker.client(V5, "auth").send(&packet::DISCONNECT);
}

fn auth(code: u8, data: &[u8]) -> Vec<u8> {
    let props = [prop::authentication_method(METHOD), prop::authentication_data(data)];
    frame(0xF0, &[&[code], &prop::block(&props)])
}

fn knock() -> Hello {
    Hello::new(V5, "scram")
        .with(prop::authentication_method(METHOD))
        .with(prop::authentication_data(&first()))
}

/// Waits for AUTH with this code; answers its data. Method and data are all it says.
fn data_of(client: &mut Client, expected: u8) -> Vec<u8> {
    let Packet::Auth { code, props } = client.receive() else { panic!("no AUTH") };
    assert_eq!(code, expected);
    match props.as_slice() {
        [Prop::Text(prop::AUTHENTICATION_METHOD, method), Prop::Binary(_, data)] => {
            assert_eq!(method, METHOD);
            data.clone()
        }
        other => panic!("{other:?}"),
    }
}

/// Connects as far as the broker's challenge.
fn challenged(broker: &Broker, hello: &Hello) -> (Client, Vec<u8>) {
    let mut client = broker.open(V5);
    client.send(&hello.bytes());
    let challenge = data_of(&mut client, 0x18);
    (client, challenge)
}

/// Connects to the end.
fn entered(broker: &Broker) -> Client {
    let (mut client, challenge) = challenged(broker, &knock());
    let (answer, expected) = last(PASSWORD, &challenge);
    client.send(&auth(0x18, &answer));
    assert_eq!(client.conn_ack(), 0);
    let proof = client.props.iter().filter(|prop| [0x15, 0x16].contains(&prop.id())).cloned();
    let told = [prop::authentication_method(METHOD), prop::authentication_data(&expected)];
    assert_eq!(proof.collect::<Vec<_>>(), told);
    client
}

/// v5: 4.12.0-2, 4.12.0-5, 3.15.2-1
#[test]
fn an_exchange_of_auth_packets_leads_to_a_connack_with_the_method() {
    entered(&Broker::with_scram()).ping();
}

/// v5: 4.12.0-4, 3.2.2-7
#[test]
fn a_proof_that_is_wrong_is_refused_and_closes_the_connection() {
    let broker = Broker::with_scram();
    for (message, code) in
        [(last("wrong", &challenged(&broker, &knock()).1).0, 0x87), (b"?".to_vec(), 0x87)]
    {
        let (mut client, _) = challenged(&broker, &knock());
        client.send(&auth(0x18, &message));
        assert_eq!(client.conn_ack(), code, "of another exchange, or of none");
        assert_eq!(client.end(), None);
    }
    let (mut client, challenge) = challenged(&broker, &knock());
    client.send(&auth(0x18, &last("wrong", &challenge).0));
    assert_eq!(client.conn_ack(), 0x86);
    assert_eq!(client.end(), None);
}

/// v5: 3.15.2-1
#[test]
fn an_auth_with_a_code_that_is_none_of_its_own_closes_the_connection() {
    let broker = Broker::with_scram();
    for code in [0x01, 0x17, 0x1A, 0x80, 0x87, 0xFF] {
        let (mut client, _) = challenged(&broker, &knock());
        client.send(&auth(code, b"x"));
        assert!(matches!(client.conn_ack(), 0x81 | 0x82), "{code:#x}");
        assert_eq!(client.end(), None);
    }
}

/// v5: 3.15.2-2, 3.15.2-3, 3.1.2-24
#[test]
fn an_auth_keeps_within_the_maximum_packet_size_of_the_client() {
    let broker = Broker::with_scram();
    let size = |limit| knock().with(Prop::Four(0x27, limit));
    let mut whole = broker.open(V5);
    whole.send(&size(1000).bytes());
    let needed = u32::try_from(whole.try_receive_bytes().unwrap().len()).unwrap();
    // Neither reason string nor user property is there to make it larger.
    challenged(&broker, &size(needed));
    assert_eq!(broker.refusal(V5, &size(needed - 1).bytes()), Some(0x95));
}

/// v5: 4.12.1-2, 4.12.0-5
#[test]
fn a_re_authentication_succeeds_or_closes_the_connection() {
    let broker = Broker::with_scram();
    let mut client = entered(&broker);
    client.send(&auth(0x19, &first()));
    let challenge = data_of(&mut client, 0x18);
    client.ping();
    let (answer, expected) = last(PASSWORD, &challenge);
    client.send(&auth(0x18, &answer));
    assert_eq!(data_of(&mut client, 0), expected);
    client.send(&auth(0x19, &first()));
    let challenge = data_of(&mut client, 0x18);
    client.fault(&auth(0x18, &last("wrong", &challenge).0), 0x87);
    let props = [prop::authentication_method("OTHER"), prop::authentication_data(b"x")];
    entered(&broker).fault(&frame(0xF0, &[&[0x19], &prop::block(&props)]), 0x82);
}
