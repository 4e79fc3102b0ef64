//! What is wrong with the folds of a splits file: nobody on both sides, nobody held out twice, nobody forgotten, each class on
//! each side.

use std::collections::{BTreeMap, BTreeSet};

use super::known::{Kind, Known, Meaning};
use super::{Place, Side, Splits, SplitsError};
use crate::exit::Exit;

/// Places or patients that a message names.
const SHOWN: usize = 5;

/// What becomes of ids that nobody has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// They are an error: the list has all patients of the study.
    Refuse,
    /// They are counted: the list has the patients of whom something was left.
    Count,
}

/// The folds of a study's patients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The fold that holds a patient out, by the id of the outputs. In a file of one fold, patients of `train` are in fold 1.
    pub fold_of: BTreeMap<String, usize>,
    /// What the file names patients by.
    pub kind: Kind,
    /// Where names stand whom nobody has; see [`Unknown::Count`].
    pub unknown: Vec<Place>,
}

/// The patients of each side of each fold, with where they stand.
type Sides = Vec<BTreeMap<Side, BTreeMap<String, Vec<Place>>>>;

/// A fault in words, and whether it is one that the audits are for.
struct Finding {
    exit: Exit,
    text: String,
}

impl Finding {
    /// A finding with those who have it, unless nobody has.
    fn new(exit: Exit, what: &str, who: &[String], remedy: &str) -> Option<Self> {
        (!who.is_empty()).then(|| Self { exit, text: format!("{what} ({}): {}; {remedy}", who.len(), some(who)) })
    }
}

impl Splits {
    /// Says which patients the ids mean, and in which fold each is held out. `classes` are the names of labels 0, 1, ...
    ///
    /// # Errors
    /// An id means nobody or two patients, or the folds leak, forget a patient, or lack a class on a side.
    pub fn resolve(&self, known: &Known, classes: &[String], unknown: Unknown) -> Result<Resolved, SplitsError> {
        let (kind, meanings) = self.kind(known)?;
        let places = |meaning: &Meaning| -> Vec<(Place, &str)> {
            let fits = self.ids.iter().filter(|(_, name)| meanings[name.as_str()] == *meaning);
            fits.map(|(place, name)| (*place, name.as_str())).collect()
        };
        let several = places(&Meaning::Several);
        if !several.is_empty() {
            return Err(self.error(Exit::Input, self.several(&several, known)));
        }
        let nobody = places(&Meaning::Nobody);
        let all = nobody.len() == self.ids.len();
        if !nobody.is_empty() && (all || unknown == Unknown::Refuse) {
            return Err(self.error(Exit::Input, self.nobody(&nobody, known)));
        }
        let sides = self.sides(&meanings);
        let findings = findings(&sides, known, classes, kind);
        if findings.is_empty() {
            let unknown = nobody.into_iter().map(|(place, _)| place).collect();
            return Ok(Resolved { fold_of: fold_of(&sides), kind, unknown });
        }
        // Who is forgotten may be somebody whose id is written otherwise.
        if nobody.iter().any(|(_, name)| known.near(name).is_some()) {
            return Err(self.error(Exit::Input, self.nobody(&nobody, known)));
        }
        let exit = findings.iter().map(|finding| finding.exit).find(|exit| *exit == Exit::Audit).unwrap_or(Exit::Input);
        let texts: Vec<&str> = findings.iter().map(|finding| finding.text.as_str()).collect();
        Err(self.error(exit, texts.join(". Also: ")))
    }

    /// The kind of the file's ids, and whom each means by it: the first kind by which all mean someone, or else that by which
    /// most do.
    fn kind(&self, known: &Known) -> Result<(Kind, BTreeMap<&str, Meaning>), SplitsError> {
        let names: BTreeSet<&str> = self.ids.iter().map(|(_, name)| name.as_str()).collect();
        let of = |kind: Kind| names.iter().map(|name| (*name, known.meaning(kind, name))).collect::<BTreeMap<_, _>>();
        let mut all: Vec<(Kind, BTreeMap<&str, Meaning>)> =
            Kind::ALL.into_iter().map(|kind| (kind, of(kind))).collect();
        let meant = |meanings: &BTreeMap<&str, Meaning>| meanings.values().filter(|one| is_one(one)).count();
        let mut full: Vec<usize> = (0..all.len()).filter(|at| meant(&all[*at].1) == names.len()).collect();
        let complete = |at: &usize| all[*at].1.values().collect::<BTreeSet<_>>().len() == known.patients.len();
        if full.iter().any(complete) {
            full.retain(complete);
        }
        let chosen = match full.first() {
            Some(first) if full.iter().any(|other| all[*other].1 != all[*first].1) => {
                let message = format!(
                    "its names are ids of patients of {} and also names of files or scans of other patients, so it is not clear who is \
                     meant; rename the files, or write the splits by another id",
                    known.list
                );
                return Err(self.error(Exit::Input, message));
            }
            Some(first) => *first,
            None => (0..all.len()).rev().max_by_key(|at| meant(&all[*at].1)).unwrap_or(0),
        };
        Ok(all.swap_remove(chosen))
    }

    /// That some names mean nobody.
    fn nobody(&self, nobody: &[(Place, &str)], known: &Known) -> String {
        let list = &known.list;
        let near = nobody.iter().find_map(|(place, name)| Some((place, known.near(name)?)));
        if let Some((place, what)) = near {
            return format!(
                "{place} differs from an id of {list} in {what} only, and so it may be another patient; write the ids in quotes, \
                 letter by letter as {list} has them"
            );
        }
        let who = match nobody.len() == self.ids.len() {
            true => format!("none of its {} entries is a patient of {list}", self.ids.len()),
            false => {
                let places: Vec<String> = nobody.iter().map(|(place, _)| place.to_string()).collect();
                format!("entries that are no patient of {list} ({}): {}", places.len(), some(&places))
            }
        };
        let hint = match nobody.iter().all(|(_, name)| is_pseudonym(name)) {
            true => "they look like pseudonyms of another study, or of a key that is gone: ",
            false => &known.remark,
        };
        format!("{who}; {hint}write the ids as {list} has them, and take out patients who are not in it")
    }

    /// That some names mean several patients.
    fn several(&self, several: &[(Place, &str)], known: &Known) -> String {
        let places: Vec<String> = several.iter().map(|(place, _)| place.to_string()).collect();
        format!(
            "scans that may be of two patients of {} ({}): {}; write the ids of the patients instead of the names of scans",
            known.list,
            places.len(),
            some(&places)
        )
    }

    fn sides(&self, meanings: &BTreeMap<&str, Meaning>) -> Sides {
        let mut sides: Sides = vec![BTreeMap::new(); self.folds];
        for (place, name) in &self.ids {
            if let Some(Meaning::One(patient)) = meanings.get(name.as_str()) {
                let side = sides[place.fold].entry(place.side).or_default();
                side.entry(patient.clone()).or_default().push(*place);
            }
        }
        sides
    }
}

fn is_one(meaning: &Meaning) -> bool {
    matches!(meaning, Meaning::One(_))
}

/// True for what [`crate::id::Key::patient`] makes.
fn is_pseudonym(name: &str) -> bool {
    name.len() == crate::id::DIGITS && name.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

/// The first few, and how many more there are.
fn some(all: &[String]) -> String {
    let shown = all.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The patients of one side, with where they stand.
fn side(
    fold: &BTreeMap<Side, BTreeMap<String, Vec<Place>>>,
    side: Side,
) -> impl Iterator<Item = (&String, &Vec<Place>)> {
    fold.get(&side).into_iter().flatten()
}

/// In a file of one fold those of `train` are in fold 1, which is never held out.
fn fold_of(sides: &Sides) -> BTreeMap<String, usize> {
    let held =
        sides.iter().enumerate().flat_map(|(fold, of)| side(of, Side::Val).map(move |(id, _)| (id.clone(), fold)));
    let rest =
        sides.iter().filter(|_| sides.len() == 1).flat_map(|of| side(of, Side::Train).map(|(id, _)| (id.clone(), 1)));
    held.chain(rest).collect()
}

fn findings(sides: &Sides, known: &Known, classes: &[String], kind: Kind) -> Vec<Finding> {
    let mut all = both_sides(sides);
    all.extend(held_out_twice(sides));
    // A patient has several files and scans.
    if matches!(kind, Kind::Own | Kind::Output) {
        all.extend(repeated(sides));
    }
    all.extend(forgotten(sides, known));
    if all.is_empty() {
        let what = "classes missing from a side of a fold";
        let remedy = "every fold needs patients of each class on both sides: move some, or have fewer folds";
        all.extend(Finding::new(Exit::Audit, what, &classes_missing(sides, known, classes), remedy));
    }
    all
}

/// Patients in train and val of one fold.
fn both_sides(sides: &Sides) -> Vec<Finding> {
    let mut all = Vec::new();
    for (fold, of) in sides.iter().enumerate() {
        let train: BTreeMap<_, _> = side(of, Side::Train).collect();
        let both = side(of, Side::Val).filter_map(|(id, val)| Some((train.get(id)?.first()?, val.first()?)));
        let both: Vec<String> = both
            .map(|(train, val)| format!("entry {} of train = entry {} of val", train.entry + 1, val.entry + 1))
            .collect();
        let what = format!("patients in train and val of fold {fold}");
        let remedy = "a patient with all scans belongs to one side: keep each in one of the two";
        all.extend(Finding::new(Exit::Audit, &what, &both, remedy));
    }
    all
}

/// Patients in `val` of two folds.
fn held_out_twice(sides: &Sides) -> Option<Finding> {
    let mut held: BTreeMap<&String, Vec<&Place>> = BTreeMap::new();
    for (id, places) in sides.iter().flat_map(|of| side(of, Side::Val)) {
        held.entry(id).or_default().extend(places.first());
    }
    let twice = held.values().filter(|places| places.len() > 1);
    let twice: Vec<String> =
        twice.map(|places| places.iter().map(|place| place.to_string()).collect::<Vec<_>>().join(" = ")).collect();
    Finding::new(Exit::Audit, "patients held out more than once", &twice, "keep each in one val")
}

/// Patients twice in one list, which is no fault where the list is of scans.
fn repeated(sides: &Sides) -> Option<Finding> {
    let lists = sides.iter().flat_map(|of| of.values()).flat_map(BTreeMap::values);
    let twice: Vec<String> = lists.filter_map(|places| places.get(1)).map(Place::to_string).collect();
    Finding::new(Exit::Input, "patients named twice in a list", &twice, "name each once")
}

/// Patients whom no fold names, or none holds out, or a fold has on neither side.
fn forgotten(sides: &Sides, known: &Known) -> Vec<Finding> {
    let named: BTreeSet<&String> = sides.iter().flat_map(BTreeMap::values).flat_map(BTreeMap::keys).collect();
    let held: BTreeSet<&String> = sides.iter().flat_map(|of| side(of, Side::Val)).map(|(id, _)| id).collect();
    let shown = |is: &dyn Fn(&String) -> bool| -> Vec<String> {
        known
            .patients
            .iter()
            .filter(|(id, patient)| patient.is_needed && is(id))
            .map(|(_, patient)| patient.shown.clone())
            .collect()
    };
    let never = |id: &String| named.contains(id) && !held.contains(id) && sides.len() > 1;
    let list = &known.list;
    let mut all: Vec<Finding> = [
        Finding::new(
            Exit::Input,
            &format!("patients of {list} that no fold names"),
            &shown(&|id| !named.contains(id)),
            "write each into one val and into the train of the other folds",
        ),
        Finding::new(Exit::Input, "patients that no fold holds out", &shown(&never), "each has to be in one val"),
    ]
    .into_iter()
    .flatten()
    .collect();
    for (fold, of) in sides.iter().enumerate() {
        let here: BTreeSet<&String> = of.values().flat_map(BTreeMap::keys).collect();
        let neither = shown(&|id| held.contains(id) && !here.contains(id));
        let what = format!("patients in neither train nor val of fold {fold}");
        all.extend(Finding::new(Exit::Input, &what, &neither, "write them into its train"));
    }
    all
}

/// Classes without a patient on a side of a fold.
fn classes_missing(sides: &Sides, known: &Known, classes: &[String]) -> Vec<String> {
    let mut missing = Vec::new();
    for (fold, of) in sides.iter().enumerate() {
        for (label, class) in classes.iter().enumerate() {
            for (which, name) in [(Side::Val, "test"), (Side::Train, "training")] {
                let has = side(of, which).any(|(id, _)| {
                    known.patients.get(id).is_some_and(|patient| patient.is_needed && patient.label == label)
                });
                if !has {
                    missing.push(format!("{class} in the {name} side of fold {fold}"));
                }
            }
        }
    }
    missing
}
