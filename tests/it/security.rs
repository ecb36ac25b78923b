//! Who gets in, and what they may do: attacks on authentication and authorization, with the components that operators use.
//!
//! Numbered as in the catalogue of faults, S1 to S17. What shows a statement elsewhere is not repeated here:
//!
//! | | shown by |
//! |---|---|
//! | S1 user enumeration | `road::a_wrong_password_and_an_unknown_user_are_told_the_same`; the same work: `an_unknown_user_costs_the_same_as_a_wrong_password_whatever_the_users_hash` of the plugin password-file |
//! | S6 a will on a denied topic | `road::a_will_on_a_foreign_topic_refuses_the_connect`, `reload::a_will_is_judged_by_the_rules_of_the_day_on_which_it_is_published` |
//! | S9 live subscriptions and new rules | `reload::a_right_that_is_taken_away_ends_the_subscriptions_that_were_held_by_it` |
//! | S11 another user takes a client identifier over | `road::a_session_belongs_to_the_name_that_made_it` |
//! | S17 a web service that hangs | `plugins_http::a_web_service_that_is_down_slow_or_talks_nonsense_lets_nobody_in_and_the_log_says_why`, `http::a_web_service_that_hangs_delays_nobody_whose_listener_does_not_ask_it` |

mod entering;
mod rights;
