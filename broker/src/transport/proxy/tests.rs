//! Headers as HAProxy, load balancers and liars write them.

use super::*;

/// Feeds the parser what it asks for; answers the header and how much of `bytes` it took.
fn read_all(bytes: &[u8]) -> Result<(Header, usize), &'static str> {
    let mut len = 0;
    loop {
        match parse(&bytes[..len])? {
            Progress::Whole(header) => return Ok((header, len)),
            Progress::Need(more) => {
                assert!(more > 0);
                len += more;
                if len > bytes.len() {
                    return Err("cut off");
                }
            }
        }
    }
}

/// What is behind the header must not be touched.
fn header(bytes: &[u8]) -> Result<Header, &'static str> {
    let followed =
        [bytes, b"\x10\x0c\0\x04MQTT\x05\x02\0\0\0\0\0and much more than any header asks for"];
    let (header, len) = read_all(&followed.concat())?;
    assert_eq!(len, bytes.len());
    Ok(header)
}

fn from(source: &str) -> Result<Header, &'static str> {
    Ok(Header { source: Some(source.parse().unwrap()), common_name: None })
}

fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[command, family], &len, body].concat()
}

fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind][..], &u16::try_from(value.len()).unwrap().to_be_bytes(), value].concat()
}

const V4: [u8; 12] = [192, 0, 2, 1, 127, 0, 0, 1, 0xdb, 0xba, 0x07, 0x5b];

#[test]
fn version_1_names_the_source() {
    assert_eq!(header(b"PROXY TCP4 192.0.2.1 127.0.0.1 56250 1883\r\n"), from("192.0.2.1:56250"));
    assert_eq!(header(b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n"), from("[2001:db8::1]:1"));
    assert_eq!(header(b"PROXY UNKNOWN\r\n"), Ok(Header::default()));
    assert_eq!(header(b"PROXY UNKNOWN ffff:: ffff:: 1 2\r\n"), Ok(Header::default()));
    // The longest one.
    let long = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let line = format!("PROXY UNKNOWN {long} {long} 65535 65535\r\n");
    assert_eq!(line.len(), LINE);
    assert_eq!(header(line.as_bytes()), Ok(Header::default()));
}

#[test]
fn version_1_that_is_not_as_it_must_be_is_refused() {
    for line in [
        "PROXY TCP4 192.0.2.1 127.0.0.1 56250\r\n",
        "PROXY TCP4 192.0.2.1 127.0.0.1 56250 1883 1\r\n",
        "PROXY TCP4 192.0.2.1 127.0.0.1 65536 1883\r\n",
        "PROXY TCP4 192.0.2.1 127.0.0.1 -1 1883\r\n",
        "PROXY TCP4 192.0.2.1 127.0.0.1 1 x\r\n",
        "PROXY TCP4 ::1 127.0.0.1 1 2\r\n",
        "PROXY TCP6 192.0.2.1 ::1 1 2\r\n",
        "PROXY TCP4 192.0.2.256 127.0.0.1 1 2\r\n",
        "PROXY TCP4  192.0.2.1 127.0.0.1 1 2\r\n",
        "PROXY UDP4 192.0.2.1 127.0.0.1 1 2\r\n",
        "PROXY \r\n        ",
        "PROXY TCP4 192.0.2.1 127.0.0.1 1 2\n      ",
        "PROXY TCP4 \u{661}92.0.2.1 127.0.0.1 1 2\r\n",
        "PROXYTCP4 192.0.2.1 127.0.0.1 1 2\r\n",
        "GET / HTTP/1.1\r\n",
        "\x10\x0c\0\x04MQTT\x05\x02\0\0\0\0\0",
    ] {
        assert!(header(line.as_bytes()).is_err(), "{line:?}");
    }
    let endless = format!("PROXY UNKNOWN {}", "x".repeat(1000));
    assert_eq!(read_all(endless.as_bytes()), Err("the PROXY header is too long"));
}

#[test]
fn version_2_names_the_source() {
    assert_eq!(header(&v2(0x21, 0x11, &V4)), from("192.0.2.1:56250"));
    let mut v6 = [0; 36];
    v6[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    v6[15] = 1;
    v6[33] = 7;
    assert_eq!(header(&v2(0x21, 0x21, &v6)), from("[2001:db8::1]:7"));
    for (command, family, body) in [(0x20, 0x00, &[][..]), (0x20, 0x11, &V4), (0x21, 0x00, &[1, 2])]
    {
        assert_eq!(header(&v2(command, family, body)), Ok(Header::default()));
    }
    let others = [&V4[..], &tlv(0x02, b"example.org"), &tlv(0x04, &[0; 100])].concat();
    assert_eq!(header(&v2(0x21, 0x11, &others)), from("192.0.2.1:56250"));
}

#[test]
fn version_2_names_the_certificate_that_the_proxy_has_verified() {
    let ssl = |client: u8, verify: u32, name: &[u8]| {
        let value =
            [&[client][..], &verify.to_be_bytes(), &tlv(0x21, b"TLSv1.3"), &tlv(0x22, name)]
                .concat();
        header(&v2(0x21, 0x11, &[&V4[..], &tlv(0x20, &value)].concat()))
    };
    let name = |result: Result<Header, &'static str>| result.unwrap().common_name;
    assert_eq!(name(ssl(0x03, 0, b"device-1")).as_deref(), Some("device-1"));
    assert_eq!(name(ssl(0x05, 0, "ger\u{e4}t".as_bytes())).as_deref(), Some("ger\u{e4}t"));
    // No certificate, or one that was not verified.
    assert_eq!(name(ssl(0x01, 0, b"device-1")), None);
    assert_eq!(name(ssl(0x03, 1, b"device-1")), None);
    for junk in [&b""[..], b"a\0b", b"\xff"] {
        assert!(ssl(0x03, 0, junk).is_err(), "{junk:?}");
    }
}

#[test]
fn version_2_about_a_unix_socket_names_nobody() {
    let ssl = [&[3, 0, 0, 0, 0][..], &tlv(0x22, b"device-1")].concat();
    let body = [&[b'/'; 216][..], &tlv(0x20, &ssl)].concat();
    let named = header(&v2(0x21, 0x31, &body)).unwrap();
    assert_eq!((named.source, named.common_name.as_deref()), (None, Some("device-1")));
    assert_eq!(header(&v2(0x21, 0x31, &[b'/'; 216])), Ok(Header::default()));
    assert!(header(&v2(0x21, 0x31, &[b'/'; 215])).is_err());
}

#[test]
fn version_2_that_lies_about_lengths_is_refused() {
    assert_eq!(header(&v2(0x21, 0x11, &V4[..11])), Err("the PROXY header is too short"));
    assert_eq!(header(&v2(0x21, 0x21, &[0; 35])), Err("the PROXY header is too short"));
    let cut = [&V4[..], &tlv(0x04, &[0; 9])[..11]].concat();
    assert!(header(&v2(0x21, 0x11, &cut)).is_err());
    let inner = [&V4[..], &tlv(0x20, &[3, 0, 0, 0, 0, 0x22, 0, 9, b'x'])].concat();
    assert!(header(&v2(0x21, 0x11, &inner)).is_err());
    let short = [&V4[..], &tlv(0x20, &[3, 0])].concat();
    assert!(header(&v2(0x21, 0x11, &short)).is_err());
    let long = [&V4[..], &tlv(0x04, &vec![0; MAX_BODY])].concat();
    assert_eq!(header(&v2(0x21, 0x11, &long)), Err("the PROXY header is too long"));
    let fits = [&V4[..], &tlv(0x04, &vec![0; MAX_BODY - 12 - 3])].concat();
    assert_eq!(header(&v2(0x21, 0x11, &fits)), from("192.0.2.1:56250"));
    for (command, family) in [(0x11, 0x11), (0x22, 0x11), (0x21, 0x12), (0x21, 0x32), (0x21, 0x41)]
    {
        assert!(header(&v2(command, family, &[0; 216])).is_err(), "{command:x} {family:x}");
    }
}

#[test]
fn every_beginning_of_a_header_asks_for_more_and_no_byte_is_enough_to_fail() {
    let whole = [&V4[..], &tlv(0x02, b"example.org")].concat();
    for bytes in [&b"PROXY TCP4 192.0.2.1 127.0.0.1 56250 1883\r\n"[..], &v2(0x21, 0x11, &whole)] {
        for len in 0..bytes.len() {
            match parse(&bytes[..len]) {
                Ok(Progress::Need(more)) => assert!(len + more <= bytes.len(), "{len} {more}"),
                other => panic!("{len}: {other:?}"),
            }
        }
        assert!(begins(bytes[0]));
    }
    assert!(![0x10, 0x16, b'G'].into_iter().any(begins));
}
