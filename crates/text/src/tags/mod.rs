//! Tags of spans: IOB1, IOB2 and BIOES.
//!
//! Spans are read by the rules of the CoNLL evaluation (`conlleval`), which
//! give every sequence of tags a reading, the illegal ones too; `L` and `U` of
//! BILOU are read as `E` and `S`.

mod detect;
mod encode;
mod scheme;
mod spans;

pub use detect::{Detection, detect, is_tag};
pub use encode::{convert, encode, repair};
pub use scheme::{Scheme, allowed, violations};
pub use spans::{TagSpan, parse, spans};
