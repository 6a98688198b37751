//! The life of one digest, as the stores and the engine lead it: a pure function from a state and a step to the next
//! state.
//!
//! Every step is one call of a port, as the engine makes it, or the passing of time; whoever makes several is
//! interrupted between any two of them, and may end there for good. No time is told: whatever waits for its time may
//! have waited for long enough at every moment, so that no law hangs on how long anything takes.

/// How many uploads bring the content at most, each to a place of its own.
pub(crate) const PLACES: usize = 2;

/// Where content is pushed, and manifests name it.
pub(crate) const PUSHED: usize = 0;
/// Where it is mounted.
pub(crate) const MOUNTED: usize = 1;

/// All that is known of the digest, anywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) record: Option<Record>,
    /// Whether each of the two repositories links it.
    pub(crate) links: [bool; 2],
    /// Whether a manifest of the first one names it.
    pub(crate) named: bool,
    /// Whether a repository that was removed still links it.
    pub(crate) detached: bool,
    pub(crate) places: [Place; PLACES],
    pub(crate) pushers: [Pusher; 2],
    pub(crate) caretakers: [Caretaker; 2],
    pub(crate) scrubber: Scrubber,
    pub(crate) lease: Lease,
}

/// Where the content is said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Record {
    pub(crate) place: usize,
    pub(crate) quarantined: bool,
}

/// What an upload has to do with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) upload: Upload,
    pub(crate) bytes: Bytes,
    pub(crate) listing: Listing,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Upload {
    #[default]
    NotBegun,
    Open,
    Finished,
    Gone,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Bytes {
    #[default]
    Absent,
    Sound,
    Rotten,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Listing {
    #[default]
    None,
    Garbage,
    Spent,
}

/// A client that pushes or mounts, and what it is about to ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Pusher {
    #[default]
    Idle,
    Finishing(usize),
    Linking(usize),
    Forgetting(usize),
    Mounting,
}

/// A process that looks after the registry, and what it is about to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Caretaker {
    #[default]
    Idle,
    Releasing,
    Discarding,
    Listing,
    /// One after the other of those left of what was listed.
    Deleting {
        left: Places,
        listed: Places,
    },
    /// All that was listed, at once.
    Spending(Places),
    Abandoning(usize),
    DiscardingStray(usize),
    ForgettingStray(usize),
}

/// A process that scrubs, and what it is about to do with the content of a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Scrubber {
    #[default]
    Idle,
    /// It is rotten.
    SettingAside(usize),
    /// The blob store has it.
    Asking(usize),
    /// No record, upload or list knows it.
    Discarding(usize),
    /// It was deleted before.
    DeletingAgain(usize),
}

/// A set of places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Places(u8);

impl Places {
    pub(crate) fn with(self, place: usize) -> Self {
        Self(self.0 | 1 << place)
    }

    pub(crate) fn first(self) -> Option<usize> {
        (self != Self::default()).then(|| self.0.trailing_zeros() as usize)
    }

    fn rest(self) -> Self {
        Self(self.0 & self.0.saturating_sub(1))
    }

    pub(crate) fn each(self) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(self), |places| Some(places.rest())).map_while(Self::first)
    }
}

/// Who may collect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Lease {
    holder: Holder,
    lapsed: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Holder {
    #[default]
    Nobody,
    Caretaker(usize),
    /// A process that has ended.
    Gone,
}

/// What somebody does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    // A pusher.
    Begin(usize, usize),
    Resume(usize, usize),
    Finish(usize),
    LinkStored(usize),
    ForgetUpload(usize),
    AskToMount(usize),
    Mount(usize),
    PusherEnds(usize),
    // A client that asks for one thing.
    Renew(usize),
    Name,
    // The deleter.
    Unlink(usize),
    Unname,
    RemoveRepository,
    Cancel(usize),
    // A caretaker that collects.
    Hold(usize),
    Release(usize),
    Discard(usize),
    ListGarbage(usize),
    Delete(usize),
    Spend(usize),
    // A caretaker that sweeps.
    FindIdle(usize, usize),
    Abandon(usize),
    DiscardStray(usize),
    ForgetStray(usize),
    CaretakerEnds(usize),
    // A scrubber.
    FindRotten,
    SetAside,
    FindKept(usize),
    AskOfKept,
    DiscardKept,
    DeleteAgain,
    ScrubberEnds,
    // Time.
    LeaseLapses,
    Trim,
    Rot,
    /// What was not synced of the place is as it was before.
    PowerFails(usize),
}

impl Step {
    fn all() -> Vec<Self> {
        use Step::*;
        let mut all = vec![
            Name,
            Unname,
            RemoveRepository,
            LeaseLapses,
            Trim,
            FindRotten,
            SetAside,
            AskOfKept,
            DiscardKept,
            DeleteAgain,
            ScrubberEnds,
            Rot,
        ];
        all.extend((0..PLACES).flat_map(|place| [Cancel(place), FindKept(place), PowerFails(place)]));
        for repository in [PUSHED, MOUNTED] {
            all.extend([Renew(repository), Unlink(repository)]);
        }
        for who in 0..2 {
            all.extend((0..PLACES).flat_map(|place| [Begin(who, place), Resume(who, place)]));
            all.extend([
                Finish(who),
                LinkStored(who),
                ForgetUpload(who),
                AskToMount(who),
                Mount(who),
                PusherEnds(who),
                Hold(who),
                Release(who),
                Discard(who),
                ListGarbage(who),
                Delete(who),
                Spend(who),
                Abandon(who),
                DiscardStray(who),
                ForgetStray(who),
                CaretakerEnds(who),
            ]);
            all.extend((0..PLACES).map(|place| FindIdle(who, place)));
        }
        all
    }

    /// The pusher who makes the step.
    pub(crate) fn pusher(self) -> Option<usize> {
        use Step::*;
        match self {
            Begin(who, _)
            | Resume(who, _)
            | Finish(who)
            | LinkStored(who)
            | ForgetUpload(who)
            | AskToMount(who)
            | Mount(who)
            | PusherEnds(who) => Some(who),
            _ => None,
        }
    }

    /// Whether a scrubber makes the step.
    fn is_scrubbing(self) -> bool {
        use Step::*;
        matches!(
            self,
            FindRotten | SetAside | FindKept(_) | AskOfKept | DiscardKept | DeleteAgain | ScrubberEnds
        )
    }

    /// The caretaker who makes the step.
    fn caretaker(self) -> Option<usize> {
        use Step::*;
        match self {
            Hold(who)
            | Release(who)
            | Discard(who)
            | ListGarbage(who)
            | Delete(who)
            | Spend(who)
            | FindIdle(who, _)
            | Abandon(who)
            | DiscardStray(who)
            | ForgetStray(who)
            | CaretakerEnds(who) => Some(who),
            _ => None,
        }
    }

    /// Whether it happens when nobody asks the registry for anything any more.
    pub(crate) fn is_unasked(self) -> bool {
        use Step::*;
        self.caretaker().is_some()
            || self.is_scrubbing()
            || matches!(self, PusherEnds(_) | LeaseLapses | Trim)
    }
}

/// What comes of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    Done,
    Unmet,
    BytesGone,
    Unknown,
    Finished,
    Fenced,
    Held,
    Count(u64),
    Answer(bool),
    Garbage(Places),
    Content(Known),
}

/// What the stores know of the content of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Known {
    Recorded,
    Listed,
    Spent,
    Nothing,
}

/// What the stores and the engine see to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// `LinkStored` refuses a location that is listed or spent.
    GarbageIsNotLinked,
    /// `LinkStored` lists what was brought beside a live record.
    SecondCopiesAreListed,
    /// `LinkStored` lists where the quarantined content was that it replaces.
    BrokenCopiesAreListed,
    /// A mount asks, in its commit, whether the content is still there.
    MountsLookAgain,
    /// `PutManifest` requires that the repository holds what it names.
    NamedIsLinked,
    /// `UnlinkBlob` requires that no manifest names it.
    NamedIsNotUnlinked,
    /// `release_unused` spares what a manifest names.
    NamedIsNotReleased,
    /// `release_unused` empties removed repositories.
    RemovedIsEmptied,
    /// `discard_unlinked` spares what a repository links.
    LinkedIsNotDiscarded,
    /// `discard_unlinked` lists the location of the record that it drops.
    DiscardedIsListed,
    /// `discard_stray` spares what the record is at.
    RecordedIsNoStray,
    /// A sweep lists the content of a finished upload before it forgets the upload.
    StraysAreListedFirst,
    /// A push is committed before its upload is forgotten.
    PushesAreCommittedFirst,
    /// Garbage is deleted before it is noted as spent.
    GarbageIsDeletedFirst,
    /// A location stays spent for as long as a commit could name it.
    SpentIsRemembered,
    /// `quarantine` asks whether the record is still where the rotten content was.
    QuarantineLooksAgain,
    /// A scrub finds what only the blob store knows.
    StraysAreFound,
    /// A scrub lists what it finds so, and deletes only what was deleted before.
    FoundIsListed,
    /// A lease that its holder has left lapses.
    LeasesLapse,
}

impl Condition {
    pub(crate) const ALL: [Self; 19] = [
        Self::GarbageIsNotLinked,
        Self::SecondCopiesAreListed,
        Self::BrokenCopiesAreListed,
        Self::MountsLookAgain,
        Self::NamedIsLinked,
        Self::NamedIsNotUnlinked,
        Self::NamedIsNotReleased,
        Self::RemovedIsEmptied,
        Self::LinkedIsNotDiscarded,
        Self::DiscardedIsListed,
        Self::RecordedIsNoStray,
        Self::StraysAreListedFirst,
        Self::PushesAreCommittedFirst,
        Self::GarbageIsDeletedFirst,
        Self::SpentIsRemembered,
        Self::QuarantineLooksAgain,
        Self::StraysAreFound,
        Self::FoundIsListed,
        Self::LeasesLapse,
    ];
}

/// The rules of the world.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Model {
    /// How many uploads bring the content.
    pub(crate) uploads: usize,
    /// Whether it is mounted and named as well, and repositories are removed.
    pub(crate) is_used: bool,
    /// How many clients push at once.
    pub(crate) pushers: usize,
    /// How many processes look after the registry.
    pub(crate) caretakers: usize,
    /// Whether bytes rot.
    pub(crate) rots: bool,
    /// Whether the power fails, and a scrub looks for what only the blob store knows.
    pub(crate) loses_power: bool,
    /// What nobody sees to.
    pub(crate) without: Option<Condition>,
}

impl Model {
    /// Everything that somebody does in this world at some time.
    pub(crate) fn steps(&self) -> Vec<Step> {
        use Step::*;
        let mut steps = Step::all();
        steps.retain(|step| match step {
            Name | Unname | RemoveRepository => self.is_used,
            AskToMount(who) | Mount(who) => self.is_used && *who < self.pushers,
            FindRotten | SetAside | Rot => self.rots,
            FindKept(_) | AskOfKept | DiscardKept | DeleteAgain | PowerFails(_) => self.loses_power,
            ScrubberEnds => self.rots || self.loses_power,
            _ => {
                step.caretaker().is_none_or(|who| who < self.caretakers)
                    && step.pusher().is_none_or(|who| who < self.pushers)
            }
        });
        steps
    }

    /// What the step leads to; `None` where nobody can take it.
    pub(crate) fn next(&self, state: &State, step: Step) -> Option<(State, Outcome)> {
        let mut next = *state;
        let outcome = self.take(&mut next, step)?;
        Some((next, outcome))
    }

    fn sees_to(&self, condition: Condition) -> bool {
        self.without != Some(condition)
    }

    fn take(&self, state: &mut State, step: Step) -> Option<Outcome> {
        use Step::*;
        match step {
            Begin(who, _)
            | Resume(who, _)
            | Finish(who)
            | LinkStored(who)
            | ForgetUpload(who)
            | AskToMount(who)
            | Mount(who)
            | PusherEnds(who) => self.push(state, who, step),
            Renew(_) | Name | Unlink(_) | Unname | RemoveRepository | Cancel(_) => self.change(state, step),
            Hold(who) | Release(who) | Discard(who) | ListGarbage(who) | Delete(who) | Spend(who) => {
                self.collect(state, who, step)
            }
            FindIdle(who, _) | Abandon(who) | DiscardStray(who) | ForgetStray(who) => {
                self.sweep(state, who, step)
            }
            FindRotten | SetAside | FindKept(_) | AskOfKept | DiscardKept | DeleteAgain | ScrubberEnds => {
                self.scrub(state, step)
            }
            CaretakerEnds(who) => {
                (state.caretakers[who] != Caretaker::Idle).then_some(())?;
                state.caretaker_ends(who);
                Some(Outcome::Done)
            }
            LeaseLapses | Trim | Rot | PowerFails(_) => self.pass_time(state, step),
        }
    }

    fn push(&self, state: &mut State, who: usize, step: Step) -> Option<Outcome> {
        let commits_first = self.sees_to(Condition::PushesAreCommittedFirst);
        let (pusher, outcome) = match (step, state.pushers[who]) {
            (Step::Begin(_, place), Pusher::Idle) => {
                let first = state.places.iter().position(|place| place.upload == Upload::NotBegun);
                (first == Some(place) && place < self.uploads).then_some(())?;
                state.places[place].upload = Upload::Open;
                (Pusher::Finishing(place), Outcome::Done)
            }
            (Step::Resume(_, place), Pusher::Idle) => match state.places[place].upload {
                Upload::NotBegun => return None,
                Upload::Gone => (Pusher::Idle, Outcome::Unknown),
                Upload::Open | Upload::Finished => (Pusher::Finishing(place), Outcome::Done),
            },
            (Step::Finish(_), Pusher::Finishing(place)) => {
                let at = &mut state.places[place];
                match at.upload {
                    Upload::NotBegun | Upload::Gone => (Pusher::Idle, Outcome::Unknown),
                    Upload::Open | Upload::Finished => {
                        if at.upload == Upload::Open {
                            (at.upload, at.bytes) = (Upload::Finished, Bytes::Sound);
                        }
                        let next =
                            if commits_first { Pusher::Linking(place) } else { Pusher::Forgetting(place) };
                        (next, Outcome::Done)
                    }
                }
            }
            (Step::LinkStored(_), Pusher::Linking(place)) => {
                let next = if commits_first { Pusher::Forgetting(place) } else { Pusher::Idle };
                (next, self.link_stored(state, place))
            }
            (Step::ForgetUpload(_), Pusher::Forgetting(place)) => {
                state.places[place].upload = Upload::Gone;
                (if commits_first { Pusher::Idle } else { Pusher::Linking(place) }, Outcome::Done)
            }
            (Step::AskToMount(_), Pusher::Idle) => match state.holds(PUSHED) {
                true => (Pusher::Mounting, Outcome::Answer(true)),
                false => (Pusher::Idle, Outcome::Answer(false)),
            },
            (Step::Mount(_), Pusher::Mounting) => {
                let looks = self.sees_to(Condition::MountsLookAgain);
                (Pusher::Idle, state.link_existing(MOUNTED, !looks || state.holds(PUSHED)))
            }
            (Step::PusherEnds(_), pusher) if pusher != Pusher::Idle => (Pusher::Idle, Outcome::Done),
            _ => return None,
        };
        state.pushers[who] = pusher;
        // Which of them is which makes no difference: whoever is idle is the second.
        state.pushers.sort_by(|one, other| other.cmp(one));
        Some(outcome)
    }

    fn link_stored(&self, state: &mut State, place: usize) -> Outcome {
        let discarded = state.places[place].listing != Listing::None;
        match state.record {
            Some(record) if record.place == place => {}
            Some(record) if !record.quarantined => {
                if !discarded && self.sees_to(Condition::SecondCopiesAreListed) {
                    state.places[place].listing = Listing::Garbage;
                }
            }
            _ if discarded && self.sees_to(Condition::GarbageIsNotLinked) => return Outcome::BytesGone,
            broken => {
                if let Some(broken) = broken
                    && self.sees_to(Condition::BrokenCopiesAreListed)
                {
                    state.places[broken.place].listing = Listing::Garbage;
                }
                state.record = Some(Record { place, quarantined: false });
            }
        }
        state.links[PUSHED] = true;
        Outcome::Done
    }

    fn change(&self, state: &mut State, step: Step) -> Option<Outcome> {
        let met = match step {
            Step::Renew(repository) => {
                return Some(state.link_existing(repository, state.holds(repository)));
            }
            Step::Name => {
                let may = !self.sees_to(Condition::NamedIsLinked) || state.holds(PUSHED);
                state.named |= may;
                may
            }
            Step::Unlink(repository) => {
                let named =
                    repository == PUSHED && state.named && self.sees_to(Condition::NamedIsNotUnlinked);
                let met = state.holds(repository) && !named;
                if met {
                    state.links[repository] = false;
                }
                met
            }
            Step::Unname => std::mem::replace(&mut state.named, false),
            Step::RemoveRepository => {
                state.detached |= std::mem::take(&mut state.links[PUSHED]);
                state.named = false;
                true
            }
            Step::Cancel(place) => {
                let upload = &mut state.places[place].upload;
                return match upload {
                    Upload::NotBegun => None,
                    Upload::Finished => Some(Outcome::Finished),
                    Upload::Open | Upload::Gone => {
                        *upload = Upload::Gone;
                        Some(Outcome::Done)
                    }
                };
            }
            _ => return None,
        };
        Some(if met { Outcome::Done } else { Outcome::Unmet })
    }

    fn collect(&self, state: &mut State, who: usize, step: Step) -> Option<Outcome> {
        let holds = state.lease.holder == Holder::Caretaker(who);
        let deletes_first = self.sees_to(Condition::GarbageIsDeletedFirst);
        let delete = |listed| Caretaker::Deleting { left: listed, listed };
        let (caretaker, outcome) = match (step, state.caretakers[who]) {
            (Step::Hold(_), Caretaker::Idle) => {
                if state.lease.holder != Holder::Nobody && !state.lease.lapsed {
                    return Some(Outcome::Held);
                }
                state.lease = Lease { holder: Holder::Caretaker(who), lapsed: false };
                (Caretaker::Releasing, Outcome::Done)
            }
            (Step::Release(_), Caretaker::Releasing)
            | (Step::Discard(_), Caretaker::Discarding)
            | (Step::Spend(_), Caretaker::Spending(_))
                if !holds =>
            {
                (Caretaker::Idle, Outcome::Fenced)
            }
            (Step::Release(_), Caretaker::Releasing) => {
                (Caretaker::Discarding, Outcome::Count(self.release_unused(state)))
            }
            (Step::Discard(_), Caretaker::Discarding) => {
                (Caretaker::Listing, Outcome::Count(self.discard_unlinked(state)))
            }
            (Step::ListGarbage(_), Caretaker::Listing) => {
                let garbage = state.garbage();
                let next = match garbage == Places::default() {
                    true => state.end_round(who),
                    false if deletes_first => delete(garbage),
                    false => Caretaker::Spending(garbage),
                };
                (next, Outcome::Garbage(garbage))
            }
            (Step::Delete(_), Caretaker::Deleting { left, listed }) => {
                state.places[left.first()?].bytes = Bytes::Absent;
                let next = match left.rest() {
                    left if left != Places::default() => Caretaker::Deleting { left, listed },
                    _ if deletes_first => Caretaker::Spending(listed),
                    _ => state.end_round(who),
                };
                (next, Outcome::Done)
            }
            (Step::Spend(_), Caretaker::Spending(listed)) => {
                for place in listed.each() {
                    let listing = &mut state.places[place].listing;
                    if *listing == Listing::Garbage {
                        *listing = Listing::Spent;
                    }
                }
                let next = if deletes_first { state.end_round(who) } else { delete(listed) };
                (next, Outcome::Done)
            }
            _ => return None,
        };
        state.caretakers[who] = caretaker;
        Some(outcome)
    }

    /// How many links were released.
    fn release_unused(&self, state: &mut State) -> u64 {
        let mut released = 0;
        if self.sees_to(Condition::RemovedIsEmptied) {
            released += u64::from(std::mem::replace(&mut state.detached, false));
        }
        for repository in [PUSHED, MOUNTED] {
            let named = repository == PUSHED && state.named && self.sees_to(Condition::NamedIsNotReleased);
            if state.links[repository] && !named {
                state.links[repository] = false;
                released += 1;
            }
        }
        released
    }

    fn discard_unlinked(&self, state: &mut State) -> u64 {
        let Some(record) = state.record else { return 0 };
        if state.is_linked() && self.sees_to(Condition::LinkedIsNotDiscarded) {
            return 0;
        }
        state.record = None;
        if self.sees_to(Condition::DiscardedIsListed) {
            state.places[record.place].listing = Listing::Garbage;
        }
        1
    }

    fn sweep(&self, state: &mut State, who: usize, step: Step) -> Option<Outcome> {
        let (first, second): (fn(_) -> _, fn(_) -> _) = match self.sees_to(Condition::StraysAreListedFirst) {
            true => (Caretaker::DiscardingStray, Caretaker::ForgettingStray),
            false => (Caretaker::ForgettingStray, Caretaker::DiscardingStray),
        };
        let after =
            |place, done: Caretaker| if done == first(place) { second(place) } else { Caretaker::Idle };
        let (caretaker, outcome) = match (step, state.caretakers[who]) {
            (Step::FindIdle(_, place), Caretaker::Idle) => match state.places[place].upload {
                Upload::Open | Upload::Finished => (Caretaker::Abandoning(place), Outcome::Answer(true)),
                Upload::NotBegun => return None,
                _ => (Caretaker::Idle, Outcome::Answer(false)),
            },
            (Step::Abandon(_), Caretaker::Abandoning(place)) => match state.places[place].upload {
                Upload::Finished => (first(place), Outcome::Finished),
                _ => {
                    state.places[place].upload = Upload::Gone;
                    (Caretaker::Idle, Outcome::Done)
                }
            },
            (Step::DiscardStray(_), done @ Caretaker::DiscardingStray(place)) => {
                let is_stray = self.discard_stray(state, place);
                (after(place, done), Outcome::Answer(is_stray))
            }
            (Step::ForgetStray(_), done @ Caretaker::ForgettingStray(place)) => {
                state.places[place].upload = Upload::Gone;
                (after(place, done), Outcome::Done)
            }
            _ => return None,
        };
        state.caretakers[who] = caretaker;
        Some(outcome)
    }

    fn scrub(&self, state: &mut State, step: Step) -> Option<Outcome> {
        let (scrubber, outcome) = match (step, state.scrubber) {
            (Step::FindRotten, Scrubber::Idle) => {
                let record = state.record.filter(|record| !record.quarantined)?;
                (state.places[record.place].bytes == Bytes::Rotten).then_some(())?;
                (Scrubber::SettingAside(record.place), Outcome::Done)
            }
            (Step::SetAside, Scrubber::SettingAside(place)) => {
                let looks = self.sees_to(Condition::QuarantineLooksAgain);
                if let Some(record) = &mut state.record
                    && (!looks || record.place == place)
                {
                    record.quarantined = true;
                }
                (Scrubber::Idle, Outcome::Done)
            }
            (Step::FindKept(place), Scrubber::Idle) => {
                let is_there = state.places[place].bytes != Bytes::Absent;
                (is_there && self.sees_to(Condition::StraysAreFound)).then_some(())?;
                (Scrubber::Asking(place), Outcome::Done)
            }
            (Step::AskOfKept, Scrubber::Asking(place)) => {
                let known = state.known(place);
                let next = match known {
                    Known::Recorded | Known::Listed => Scrubber::Idle,
                    Known::Nothing if self.sees_to(Condition::FoundIsListed) => Scrubber::Discarding(place),
                    Known::Nothing | Known::Spent => Scrubber::DeletingAgain(place),
                };
                (next, Outcome::Content(known))
            }
            (Step::DiscardKept, Scrubber::Discarding(place)) => {
                (Scrubber::Idle, Outcome::Answer(self.discard_stray(state, place)))
            }
            (Step::DeleteAgain, Scrubber::DeletingAgain(place)) => {
                state.places[place].bytes = Bytes::Absent;
                (Scrubber::Idle, Outcome::Done)
            }
            (Step::ScrubberEnds, scrubber) if scrubber != Scrubber::Idle => (Scrubber::Idle, Outcome::Done),
            _ => return None,
        };
        state.scrubber = scrubber;
        Some(outcome)
    }

    /// Whether what is at the place is a stray, which is listed then.
    fn discard_stray(&self, state: &mut State, place: usize) -> bool {
        let recorded = state.record.is_some_and(|record| record.place == place);
        let is_stray = !recorded || !self.sees_to(Condition::RecordedIsNoStray);
        let listing = &mut state.places[place].listing;
        if is_stray && *listing == Listing::None {
            *listing = Listing::Garbage;
        }
        is_stray
    }

    fn pass_time(&self, state: &mut State, step: Step) -> Option<Outcome> {
        match step {
            Step::LeaseLapses => {
                self.sees_to(Condition::LeasesLapse).then_some(())?;
                match state.lease.holder {
                    Holder::Nobody => return None,
                    // Whoever asks for it next gets it, as if it had been let go.
                    Holder::Gone => state.lease = Lease::default(),
                    Holder::Caretaker(_) => state.lease.lapsed = true,
                }
            }
            Step::Trim => {
                // The host's part of the bargain: no request and no upload is as old as that.
                let pushers = state.pushers;
                let can_be_named = |(place, at): (usize, &Place)| {
                    at.listing == Listing::Spent
                        && (matches!(at.upload, Upload::Open | Upload::Finished)
                            || pushers.contains(&Pusher::Linking(place)))
                };
                let waits = state.places.iter().enumerate().any(can_be_named);
                (!waits || !self.sees_to(Condition::SpentIsRemembered)).then_some(())?;
                for at in &mut state.places {
                    if at.listing == Listing::Spent {
                        at.listing = Listing::None;
                    }
                }
            }
            Step::Rot => {
                let bytes = &mut state.places[state.record?.place].bytes;
                (*bytes == Bytes::Sound).then_some(())?;
                *bytes = Bytes::Rotten;
            }
            Step::PowerFails(place) => {
                let at = &mut state.places[place];
                match at.bytes {
                    // The upload that brought it is unknown.
                    Bytes::Sound if at.upload == Upload::Finished => at.upload = Upload::Gone,
                    // It was deleted.
                    Bytes::Absent if at.listing != Listing::None => at.bytes = Bytes::Sound,
                    _ => return None,
                }
                (state.pushers, state.scrubber) = Default::default();
                (0..2).for_each(|who| state.caretaker_ends(who));
            }
            _ => return None,
        }
        Some(Outcome::Done)
    }
}

impl State {
    /// Whether the repository has the content, as it answers whoever asks.
    pub(crate) fn holds(&self, repository: usize) -> bool {
        self.links[repository] && self.record.is_some_and(|record| !record.quarantined)
    }

    /// The places that are listed.
    pub(crate) fn garbage(&self) -> Places {
        let listed = |place: &usize| self.places[*place].listing == Listing::Garbage;
        (0..PLACES).filter(listed).fold(Places::default(), Places::with)
    }

    /// What whoever asks is told of the place.
    pub(crate) fn known(&self, place: usize) -> Known {
        match self.places[place].listing {
            _ if self.record.is_some_and(|record| record.place == place) => Known::Recorded,
            Listing::None => Known::Nothing,
            Listing::Garbage => Known::Listed,
            Listing::Spent => Known::Spent,
        }
    }

    fn caretaker_ends(&mut self, who: usize) {
        self.caretakers[who] = Caretaker::Idle;
        if self.lease.holder == Holder::Caretaker(who) {
            self.lease.holder = Holder::Gone;
        }
    }

    fn is_linked(&self) -> bool {
        self.detached || self.links.contains(&true)
    }

    fn link_existing(&mut self, repository: usize, met: bool) -> Outcome {
        if met {
            self.links[repository] = true;
        }
        if met { Outcome::Done } else { Outcome::Unmet }
    }

    fn end_round(&mut self, who: usize) -> Caretaker {
        if self.lease.holder == Holder::Caretaker(who) {
            self.lease = Lease::default();
        }
        Caretaker::Idle
    }

    /// What must never be, if it is.
    pub(crate) fn broken_law(&self) -> Option<&'static str> {
        if self.named && !self.links[PUSHED] {
            return Some("a manifest names what its repository does not hold");
        }
        match self.record {
            None if self.is_linked() => Some("a repository links what has no record"),
            Some(record) => match self.places[record.place].bytes {
                Bytes::Absent if self.is_linked() => Some("the bytes of what is linked are gone"),
                Bytes::Sound if record.quarantined => Some("sound bytes are set aside"),
                _ => None,
            },
            None => None,
        }
    }

    /// Whether nothing is kept but what a manifest names, and nothing is to be done about it.
    pub(crate) fn is_clean(&self) -> bool {
        self.links == [self.named, false]
            && !self.detached
            && self.record.is_some() == self.named
            && self.pushers == [Pusher::Idle; 2]
            && self.caretakers == [Caretaker::Idle; 2]
            && self.scrubber == Scrubber::Idle
            && self.places.iter().enumerate().all(|(place, at)| {
                let recorded = self.record.is_some_and(|record| record.place == place);
                matches!(at.upload, Upload::NotBegun | Upload::Gone)
                    && at.listing != Listing::Garbage
                    && (at.bytes == Bytes::Absent || recorded)
            })
    }
}
