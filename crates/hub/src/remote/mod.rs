//! Models from a hub: Hugging Face's, or one that speaks its protocol.
//!
//! A [`Hub`] is asked for a repository's files at a revision. The revision is
//! resolved to a commit once, and everything comes from that commit; a length and
//! a hash are known of every file before it comes, and checked when it came. It is
//! collected in a hidden folder of the cache, where an interrupted [`fetch`] goes
//! on, and gets its name when it is whole.
//!
//! ```no_run
//! use glossator_hub::{
//!     Repository,
//!     remote::{Fetched, Hub, HubOptions, fetch},
//! };
//!
//! # fn main() -> glossator_hub::Result<()> {
//! let hub = Hub::new(HubOptions::from_env()?)?;
//! let wanted = "OWNER/NAME@v1.0".parse()?;
//! match fetch(&hub, &Repository::from_env(), &wanted, &mut |event| eprintln!("{event:?}"))? {
//!     Fetched::Model(folder) => println!("{}", folder.display()),
//!     Fetched::Checkpoint(file) => println!("{}: to be converted", file.display()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! `hf-hub` gives the addresses and the place of the user's token. Its own
//! downloads are not used: they check no hash, append whatever comes to what there
//! is, wait for a silent server for ever, and show the token to the host that a
//! redirect leads to.

mod address;
mod client;
mod digest;
mod download;
mod fetch;
mod listing;
mod token;
mod wanted;

pub use client::{ENDPOINT, Hub, HubOptions};
pub use fetch::{Event, Fetched, fetch};
pub use token::Token;
pub use wanted::Wanted;
