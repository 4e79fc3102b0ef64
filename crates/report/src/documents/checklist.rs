//! A reporting checklist: items, each with a function that answers it from the run.

use super::{Document, Run, markdown};

/// What the run says of an item, and what it leaves to the author.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Answer {
    told: Vec<String>,
    asked: Vec<String>,
}

/// What the run knows.
pub(super) fn tell(told: impl IntoIterator<Item = String>) -> Answer {
    Answer { told: told.into_iter().collect(), asked: Vec::new() }
}

/// A question to the author.
pub(super) fn ask(question: &str) -> Answer {
    Answer::default().ask(question)
}

impl Answer {
    /// Adds what the run knows.
    pub(super) fn tell(mut self, told: impl IntoIterator<Item = String>) -> Self {
        self.told.extend(told);
        self
    }

    /// Adds a question to the author.
    pub(super) fn ask(mut self, question: &str) -> Self {
        self.asked.push(question.to_owned());
        self
    }

    /// Adds a question to the author if `open`.
    pub(super) fn ask_if(self, open: bool, question: &str) -> Self {
        if open { self.ask(question) } else { self }
    }

    fn status(&self) -> Status {
        match (self.told.is_empty(), self.asked.is_empty()) {
            (true, _) => Status::Open,
            (false, true) => Status::Answered,
            (false, false) => Status::Partly,
        }
    }
}

/// How far the run answers an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Answered,
    Partly,
    Open,
}

impl Status {
    const ALL: [Self; 3] = [Self::Answered, Self::Partly, Self::Open];

    fn title(self) -> &'static str {
        match self {
            Self::Answered => "answered by the run",
            Self::Partly => "partly",
            Self::Open => "to be answered",
        }
    }
}

/// An item.
pub(super) struct Item {
    /// Number as published, such as `7` or `12a`.
    pub number: &'static str,
    /// Its subject, in our own words.
    pub subject: &'static str,
    /// Answers it.
    pub answer: fn(&Run) -> Answer,
}

/// An item of a table.
pub(super) const fn item(number: &'static str, subject: &'static str, answer: fn(&Run) -> Answer) -> Item {
    Item { number, subject, answer }
}

/// Items under one heading.
pub(super) struct Section {
    /// Heading.
    pub title: &'static str,
    /// Its items, in the published order.
    pub items: &'static [Item],
}

/// A checklist.
pub(super) struct List {
    /// Name of its file.
    pub file: &'static str,
    /// Title.
    pub title: &'static str,
    /// Where its numbers and subjects come from.
    pub source: &'static str,
    /// Its sections, in the published order.
    pub sections: &'static [Section],
}

impl List {
    /// The checklist answered for a run.
    pub(super) fn document(&self, run: &Run) -> Document {
        let mut body = String::new();
        let mut numbers = Status::ALL.map(|_| Vec::new());
        for section in self.sections {
            body.push_str(&format!("\n# {}\n", section.title));
            for item in section.items {
                let answer = (item.answer)(run);
                numbers[answer.status() as usize].push(item.number.to_owned());
                body.push_str(&written(item, &answer));
            }
        }
        Document {
            file: self.file.to_owned(),
            title: format!("{}: {}", self.title, run.assessment.study),
            markdown: format!("{}{body}", self.head(&numbers)),
        }
    }

    fn head(&self, numbers: &[Vec<String>; 3]) -> String {
        let total: usize = numbers.iter().map(Vec::len).sum();
        let line = |status: Status| {
            let of = &numbers[status as usize];
            let which = if of.is_empty() { String::new() } else { format!(": {}", of.join(", ")) };
            format!("{} ({}){which}", status.title(), of.len())
        };
        format!(
            "Numbers and subjects of the items: {}. The subjects are in our own words; the source has the items in full.\n\n\
             Written from the files of the run. What the run does not know is marked \"To be answered\" and left to the author. \
             \"Partly\" means that both follow. Of {total} items:\n\n{}",
            self.source,
            markdown::list(Status::ALL.map(line))
        )
    }
}

/// Sentences that still read as a paragraph; more become a list.
const PARAGRAPH: usize = 6;

/// An item with its answer: the number and subject in bold, the status, what is told, the questions.
fn written(item: &Item, answer: &Answer) -> String {
    let told = match answer.told.len() {
        0 => String::new(),
        1..=PARAGRAPH => format!("{}\n\n", answer.told.join(" ")),
        _ => markdown::list(answer.told.iter().cloned()),
    };
    let asked = markdown::list(answer.asked.iter().map(|question| format!("To be answered: {question}")));
    let body = format!("{told}{asked}");
    format!("\n**{}. {}** ({})\n\n{}\n", item.number, item.subject, answer.status().title(), body.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_answered_partly_or_not() {
        let told = || tell(["So it is.".to_owned()]);
        assert_eq!(told().status(), Status::Answered);
        assert_eq!(told().ask("why?").status(), Status::Partly);
        assert_eq!(told().ask_if(false, "why?").status(), Status::Answered);
        assert_eq!(ask("why?").status(), Status::Open);
        assert_eq!(tell(None).ask("why?").status(), Status::Open);
    }

    /// CLAIM 2024 has 44 items (Tejani et al. 2024), TRIPOD+AI 27 with 52 subitems (Collins et al. 2024).
    #[test]
    fn every_item_has_its_number_once_and_in_order() {
        let numbers = |list: &List| -> Vec<&str> {
            list.sections.iter().flat_map(|section| section.items).map(|item| item.number).collect()
        };
        let claim: Vec<String> = (1..=44).map(|number| number.to_string()).collect();
        assert_eq!(numbers(&super::super::claim::LIST), claim);
        let letters = [(3, 3), (5, 2), (6, 3), (8, 3), (9, 3), (12, 7), (18, 6), (20, 3), (23, 2), (27, 3)];
        let tripod: Vec<String> = (1..=27)
            .flat_map(|number| match letters.iter().find(|(of, _)| *of == number) {
                Some((_, count)) => ('a'..='g').take(*count).map(|letter| format!("{number}{letter}")).collect(),
                None => vec![number.to_string()],
            })
            .collect();
        assert_eq!(tripod.len(), 52);
        assert_eq!(numbers(&super::super::tripod::LIST), tripod);
    }
}
