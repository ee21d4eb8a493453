//! The page on loopback, for the user of this machine alone: [`door`] lets in whoever has the address that was printed,
//! [`listen`] serves it, and [`asked`] has a host do so for as long as somebody holds the connection.

#[cfg(unix)]
mod asked;
mod door;
mod listen;
mod words;

#[cfg(unix)]
pub use asked::{PageRefused, host_page};
pub use door::PageKeys;
pub(in crate::serve) use door::cookie;
pub use listen::Page;
pub(in crate::serve) use words::explained;
pub use words::in_one_line;
