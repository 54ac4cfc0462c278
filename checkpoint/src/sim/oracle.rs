//! What was promised, and whether a state that was recovered keeps it.

use std::collections::BTreeMap;

use crate::{Error, Seq};

/// A state as text: node to JSON.
pub(super) type Nodes = BTreeMap<String, String>;

/// What a save wants to change; `None` removes.
pub(super) type Action = Vec<(String, Option<String>)>;

/// Every state that may be found.
#[derive(Debug, Clone)]
pub(super) struct Oracle {
    /// The state after each seq that is known to be taken.
    states: Vec<Nodes>,
    /// The last seq that was promised to be on disk.
    promised: usize,
    /// Changes of which nobody was told whether they are in.
    open: Vec<Action>,
}

impl Oracle {
    pub(super) fn new() -> Self {
        Self { states: vec![Nodes::new()], promised: 0, open: Vec::new() }
    }

    pub(super) fn now(&self) -> &Nodes {
        &self.states[self.states.len() - 1]
    }

    /// How much was promised and how much may be there.
    pub(super) fn extent(&self) -> (usize, usize, usize) {
        (self.promised, self.states.len(), self.open.len())
    }

    /// The call has begun.
    pub(super) fn begin(&mut self, action: Action) {
        self.open.push(action);
    }

    /// The call that was begun last has ended.
    pub(super) fn end(
        &mut self,
        result: Result<Seq, &Error>,
        on_disk: bool,
        killed: bool,
    ) -> Result<(), String> {
        match result {
            Ok(seq) => {
                let seq = usize::try_from(seq.get()).map_err(|e| e.to_string())?;
                let action = self.open.pop().ok_or("nothing was begun")?;
                self.settle(seq.checked_sub(1).ok_or("seq 0 was given out")?)?;
                self.states.push(fold(self.now(), &action));
                if on_disk {
                    self.promised = seq;
                }
            }
            Err(Error::Unknown { .. } | Error::Poisoned { .. }) => {}
            Err(_) if killed => {}
            Err(_) => {
                self.open.pop();
            }
        }
        Ok(())
    }

    /// The call that was begun last wants this instead.
    pub(super) fn change_last(&mut self, action: Action) {
        if let Some(last) = self.open.last_mut() {
            *last = action;
        }
    }

    /// The call that was begun last wrote nothing.
    pub(super) fn cancel(&mut self) {
        self.open.pop();
    }

    /// Somebody was told of the state after `seq`.
    pub(super) fn promise(&mut self, seq: Seq) {
        self.promised = self.promised.max(usize::try_from(seq.get()).unwrap_or(usize::MAX));
    }

    /// Nothing is open but the call that was begun last.
    pub(super) fn is_decided(&self) -> bool {
        self.open.len() <= 1
    }

    /// A handle shows this many records: what was open is decided.
    pub(super) fn settle(&mut self, seq: usize) -> Result<(), String> {
        let known = self.states.len() - 1;
        if seq < known {
            return Err(format!("seq {seq} where {known} were known: a number came twice"));
        }
        for action in self.open.drain(..).take(seq - known).collect::<Vec<_>>() {
            let next = fold(&self.states[self.states.len() - 1], &action);
            self.states.push(next);
        }
        if self.states.len() - 1 < seq {
            return Err(format!("seq {seq}: more records than anybody wrote"));
        }
        Ok(())
    }

    /// What was appended but not promised is gone or not, and the crash has decided.
    pub(super) fn recovered(&self, seq: u64, nodes: &Nodes) -> Result<Self, String> {
        let seq = usize::try_from(seq).map_err(|e| e.to_string())?;
        if seq < self.promised {
            return Err(format!("seq {} was promised, {seq} was found", self.promised));
        }
        let known = self.states.len() - 1;
        let fits = if seq <= known {
            self.states[seq] == *nodes
        } else {
            self.may_follow(seq - known, nodes)
        };
        if !fits {
            return Err(format!("no state after seq {seq} is {nodes:?}"));
        }
        let mut states = self.states[..=seq.min(known)].to_vec();
        // Whatever came in between, the last state is the one that was found.
        states.resize(seq + 1, nodes.clone());
        Ok(Self { states, promised: seq, open: Vec::new() })
    }

    /// Whether `count` of the open changes, in order, make `nodes`.
    fn may_follow(&self, count: usize, nodes: &Nodes) -> bool {
        (0_u32..1 << self.open.len().min(16)).any(|chosen| {
            chosen.count_ones() as usize == count && {
                let chosen = self.open.iter().enumerate().filter(|(i, _)| chosen >> i & 1 == 1);
                chosen.fold(self.now().clone(), |nodes, (_, a)| fold(&nodes, a)) == *nodes
            }
        })
    }
}

fn fold(nodes: &Nodes, action: &Action) -> Nodes {
    let mut nodes = nodes.clone();
    for (node, value) in action {
        match value {
            Some(value) => nodes.insert(node.clone(), value.clone()),
            None => nodes.remove(node),
        };
    }
    nodes
}
