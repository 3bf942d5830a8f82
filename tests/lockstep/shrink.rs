//! Reduces a case that shows a difference: instructions left out, inputs left out, registers and flags made plain.
//! proptest drives it: a case is a value tree whose simplifications are these steps.

use super::case::Case;
use super::layout::{EVERYWHERE, VFP};
use super::sequence::Sequence;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};

/// One simplification.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// One input of those alone.
    Input(usize),
    /// Without this item.
    Leave(usize),
    /// Register 0, flags 0, D register 0, FPSCR 0 in every input.
    Register(usize),
    Flags,
    Vector(usize),
    Fpscr,
    /// Without the D registers.
    NoVectors,
}

/// A case in the course of its reduction.
pub struct CaseTree {
    case: Case,
    sequence: Option<Sequence>,
    steps: Vec<Step>,
    next: usize,
    before: Option<(Case, Option<Sequence>)>,
    /// A step has been of use since the start of the list.
    again: bool,
}

impl CaseTree {
    /// `sequence` is what the case's code was laid out from, if that is known.
    pub fn new(case: Case, sequence: Option<Sequence>) -> CaseTree {
        let steps = Self::steps(&case, sequence.as_ref());
        CaseTree {
            case,
            sequence,
            steps,
            next: 0,
            before: None,
            again: false,
        }
    }

    fn steps(case: &Case, sequence: Option<&Sequence>) -> Vec<Step> {
        let mut steps = Vec::new();
        if case.inputs.len() > 1 {
            steps.extend((0..case.inputs.len()).map(Step::Input));
        }
        if let Some(sequence) = sequence {
            let loose = (0..sequence.items.len())
                .rev()
                .filter(|&i| !sequence.items[i].pinned);
            steps.extend(loose.map(Step::Leave));
        }
        steps.extend((0..15).map(Step::Register));
        steps.push(Step::Flags);
        if case.flags & VFP != 0 {
            steps.extend((0..32).map(Step::Vector));
            steps.push(Step::Fpscr);
            steps.push(Step::NoVectors);
        }
        steps
    }

    /// The case after `step`, or `None` where that changes nothing or cannot be.
    fn apply(&self, step: Step) -> Option<(Case, Option<Sequence>)> {
        let (mut case, mut sequence) = (self.case.clone(), self.sequence.clone());
        match step {
            Step::Input(i) => case.inputs = vec![*case.inputs.get(i)?],
            Step::Leave(i) => {
                let before = sequence?;
                if before.items.len() <= i || before.items[i].pinned {
                    return None;
                }
                let shorter = before.without(i)?;
                let base = case.address();
                case.code = shorter.lay_out(base)?.code;
                for input in &mut case.inputs {
                    input.r[15] = base | u32::from(shorter.thumb());
                }
                sequence = Some(shorter);
            }
            Step::Register(i) => case.inputs.iter_mut().for_each(|input| input.r[i] = 0),
            Step::Flags => case.inputs.iter_mut().for_each(|input| input.cpsr = 0),
            Step::Vector(i) => case.inputs.iter_mut().for_each(|input| input.d[i] = 0),
            Step::Fpscr => case.inputs.iter_mut().for_each(|input| input.fpscr = 0),
            Step::NoVectors => case.flags &= !VFP,
        }
        (case != self.case).then_some((case, sequence))
    }
}

impl ValueTree for CaseTree {
    type Value = Case;

    fn current(&self) -> Case {
        self.case.clone()
    }

    fn simplify(&mut self) -> bool {
        // What is current shows the difference: the last step was good.
        if self.before.take().is_some() {
            self.again = true;
            if self.next > 0 && matches!(self.steps[self.next - 1], Step::Input(_)) {
                self.steps = Self::steps(&self.case, self.sequence.as_ref());
                self.next = 0;
            }
        }
        self.advance()
    }

    fn complicate(&mut self) -> bool {
        // It shows none any more: back, and on with the next step.
        let Some((case, sequence)) = self.before.take() else {
            return false;
        };
        (self.case, self.sequence) = (case, sequence);
        self.advance()
    }
}

impl CaseTree {
    fn advance(&mut self) -> bool {
        loop {
            if self.next == self.steps.len() {
                if !self.again {
                    return false;
                }
                self.again = false;
                self.steps = Self::steps(&self.case, self.sequence.as_ref());
                self.next = 0;
            }
            let step = self.steps[self.next];
            self.next += 1;
            if let Some((case, sequence)) = self.apply(step) {
                let sequence = std::mem::replace(&mut self.sequence, sequence);
                self.before = Some((std::mem::replace(&mut self.case, case), sequence));
                return true;
            }
        }
    }
}

/// The smallest case found, in so many steps, for which `shows` still holds (it does for `case`).
pub fn shrink(case: &Case, sequence: Option<Sequence>, steps: u32, shows: impl Fn(&Case) -> bool) -> Case {
    let mut runner = TestRunner::new(Config {
        max_shrink_iters: steps,
        failure_persistence: None,
        ..Config::default()
    });
    let result = runner.run_one(CaseTree::new(case.clone(), sequence), |case| match shows(&case) {
        true => Err(TestCaseError::fail("differs")),
        false => Ok(()),
    });
    match result {
        Err(TestError::Fail(_, smallest)) => Case {
            flags: smallest.flags | EVERYWHERE,
            ..smallest
        },
        _ => case.clone(),
    }
}
