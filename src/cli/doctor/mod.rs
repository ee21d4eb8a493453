//! `doctor`: checks everything a turn needs and says how to fix each problem. [`local`] looks at this machine, [`remote`] at
//! a remote server from outside; [`checks`] is what they find.

mod args;
mod checks;
mod local;
mod remote;

pub use args::DoctorArgs;
