//! What an owner can do, with its arguments: names, leases and approvals are chosen among the few there are.

use proptest::{prelude::*, sample::Index};

/// How many owners there can be at once.
pub(super) const OWNERS: usize = 3;

/// One step of a sequence.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// Which owner takes it.
    pub(super) owner: usize,
    pub(super) operation: Operation,
    /// After how many hundreds of microseconds its future is dropped; never, if there is none.
    pub(super) cut: Option<u64>,
}

#[derive(Debug, Clone)]
pub(super) enum Operation {
    Create {
        name: usize,
        automatic: bool,
    },
    Claim {
        name: usize,
        turn: Option<Index>,
    },
    Renew(Index),
    Release(Index),
    Commit {
        lease: Index,
        write: Write,
    },
    Delete(Index),
    Rename {
        lease: Index,
        name: usize,
    },
    Enqueue {
        name: usize,
        is_promised: bool,
    },
    Promise(Index),
    CallOff(Index),
    RenewPlaces(usize),
    Adopt,
    OpenApproval(Index),
    Answer(Index),
    Settle {
        approval: Index,
        lease: Index,
        state: usize,
    },
    Sweep,
    /// Time goes by for everybody, in seconds.
    Wait(u64),
    Die,
    Rise,
}

/// What a commit writes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Write {
    /// A turn begins.
    Begin,
    /// The last turn ends.
    End,
    /// The session is reset and a turn begins.
    Restart,
    /// The session alone.
    Touch,
}

impl Operation {
    /// Which of the leases it is done with.
    pub(super) fn lease(&self) -> Option<Index> {
        match self {
            Self::Renew(lease)
            | Self::Release(lease)
            | Self::Delete(lease)
            | Self::OpenApproval(lease)
            | Self::Commit { lease, .. }
            | Self::Rename { lease, .. }
            | Self::Settle { lease, .. } => Some(*lease),
            _ => None,
        }
    }

    /// Which of the queued turns it is about.
    pub(super) fn queued(&self) -> Option<Index> {
        match self {
            Self::Claim { turn, .. } => *turn,
            Self::Promise(turn) | Self::CallOff(turn) => Some(*turn),
            _ => None,
        }
    }

    /// Which of the approvals it is about.
    pub(super) fn approval(&self) -> Option<Index> {
        match self {
            Self::Answer(approval) | Self::Settle { approval, .. } => Some(*approval),
            _ => None,
        }
    }
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let cut = prop_oneof![4 => Just(None), 1 => (0..8_u64).prop_map(Some)];
    (0..OWNERS, operation(), cut).prop_map(|(owner, operation, cut)| Step { owner, operation, cut })
}

fn operation() -> impl Strategy<Value = Operation> {
    let index = any::<Index>;
    let name = || 0..4_usize;
    let write = prop_oneof![
        3 => Just(Write::Begin),
        2 => Just(Write::End),
        1 => Just(Write::Restart),
        1 => Just(Write::Touch),
    ];
    prop_oneof![
        4 => (name(), any::<bool>())
            .prop_map(|(name, automatic)| Operation::Create { name, automatic }),
        8 => (name(), prop::option::of(index()))
            .prop_map(|(name, turn)| Operation::Claim { name, turn }),
        2 => index().prop_map(Operation::Renew),
        2 => index().prop_map(Operation::Release),
        8 => (index(), write).prop_map(|(lease, write)| Operation::Commit { lease, write }),
        1 => index().prop_map(Operation::Delete),
        2 => (index(), name()).prop_map(|(lease, name)| Operation::Rename { lease, name }),
        3 => (name(), any::<bool>())
            .prop_map(|(name, is_promised)| Operation::Enqueue { name, is_promised }),
        1 => index().prop_map(Operation::Promise),
        1 => index().prop_map(Operation::CallOff),
        1 => Just(Operation::Adopt),
        1 => name().prop_map(Operation::RenewPlaces),
        4 => index().prop_map(Operation::OpenApproval),
        3 => index().prop_map(Operation::Answer),
        3 => (index(), index(), 0..3_usize)
            .prop_map(|(approval, lease, state)| Operation::Settle { approval, lease, state }),
        1 => Just(Operation::Sweep),
        3 => prop_oneof![Just(1), Just(9), Just(29), Just(30), Just(31)].prop_map(Operation::Wait),
        1 => Just(Operation::Die),
        2 => Just(Operation::Rise),
    ]
}
