//! What every part needs of the operating system: files for this user alone, threads for what computes, and the end of
//! what a command has started. Knows nothing of ours.

mod compute;
mod group;
mod private;

#[cfg(test)]
pub(crate) use compute::watched::watched;
pub use compute::{compute, heavy};
pub use group::GroupKill;
pub use private::{
    create_private_file, is_private, missing_folders, open_private_file, private_folder,
    replace_private_file,
};
