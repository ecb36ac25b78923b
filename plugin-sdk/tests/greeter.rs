//! The guide's example, and the test of it that the guide shows.

use wasmqtt_plugin::*;

struct Greeter;

impl Plugin for Greeter {
    type Config = NoConfig;
    fn init(_: NoConfig) -> Result<(Self, Registration), String> {
        Ok((Self, Registration::new().on_publish(Selector::filter("hall/#"))))
    }
}

impl Transformation for Greeter {
    fn on_publish(&mut self, message: &impl Message) -> Result<Verdict, Failure> {
        message.set_user_property("greeted", "yes");
        Ok(Verdict::Forward)
    }
}

export!(Greeter: transformation);

#[test]
fn a_plugin_is_tested_without_wasm() {
    let (mut greeter, registration) = test::init::<Greeter>("{}").unwrap();
    assert_eq!(registration.on_publish, [Selector::filter("hall/#")]);

    let message = test::Message::new("hall/door", "open");
    assert_eq!(greeter.on_publish(&message), Ok(Verdict::Forward));
    assert_eq!(message.changes().user_properties, Some(vec![("greeted".into(), "yes".into())]));
    assert_eq!(message.changes().topic, None);

    assert!(test::init::<Greeter>(r#"{"colour": "red"}"#).is_err());
}
