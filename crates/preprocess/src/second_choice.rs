//! Another series of the same study where the chosen one shows hardly any lung.
//!
//! A study of chest and abdomen often has more slices of the abdomen, and the rule of [`crate::choice`] counts slices. So a chosen series that
//! keeps fewer than [`FEW`] of its slices is compared with the others of its study, in the order of preference, and the one that keeps most
//! slices is used; of equal ones the first. The series that is not used stays in `qa.csv` with the remark [`REPLACED`].

use contract::config::Config;

use crate::error::Error;
use crate::finish::{self, Finished, Finisher};
use crate::inputs::Series;
use crate::model::LungModel;
use crate::patients::FEW;
use crate::pipeline::{self, Reduction};

/// Remark: another series of the study shows more lung and was taken.
pub const REPLACED: &str = "replaced";
/// Remark: the series was taken because another one of the study shows hardly any lung.
pub const SECOND_CHOICE: &str = "second_choice";

/// What the other series are segmented with.
pub struct SecondChoice<'a> {
    /// The study's settings.
    pub config: &'a Config,
    /// How slices are reduced.
    pub reduction: Reduction<'a>,
    /// The network.
    pub model: &'a LungModel,
    /// The threads.
    pub pool: &'a rayon::ThreadPool,
}

impl SecondChoice<'_> {
    /// `first`, or, if it shows hardly any lung and another series of the study more, that one and `first` without rows.
    ///
    /// # Errors
    /// The program was interrupted. Another series that is damaged or suspect is passed over with a note.
    pub fn replace(&self, series: &Series, first: Finished, finisher: &mut Finisher) -> Result<Vec<Finished>, Error> {
        let (kept, slices) = first.kept();
        if kept as f64 >= FEW * slices as f64 || series.alternatives.is_empty() {
            return Ok(vec![first]);
        }
        let mut best: Option<(&Series, Finished)> = None;
        for other in &series.alternatives {
            let found = match self.segment(other) {
                Ok(found) => found,
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                // It was not chosen, so it ends no run; its error may spell names, which only the stage takes out.
                Err(_) => {
                    contract::say!("note: {} of the same study cannot be used and was passed over", other.describe());
                    continue;
                }
            };
            let most = best.as_ref().map_or(kept, |(_, best)| best.kept().0);
            if found.kept().0 > most {
                best = Some((other, found));
            }
        }
        let Some((taken, mut found)) = best else { return Ok(vec![first]) };
        contract::say!(
            "note: {} keeps {kept} of {slices} slices; {} of the same study is taken in its place",
            series.describe(),
            taken.describe()
        );
        finisher.use_after_all(taken);
        found.remark(SECOND_CHOICE);
        let mut first = first;
        first.leave_out(REPLACED);
        first.remark(REPLACED);
        Ok(vec![first, found])
    }

    /// Reads and segments one series as the pipeline does.
    fn segment(&self, series: &Series) -> Result<Finished, Error> {
        let slices = self.pool.install(|| pipeline::read(std::slice::from_ref(series), self.reduction))?;
        let inputs = slices.iter().map(|slice| &slice.input);
        let size = self.config.preprocess.batch_size as usize;
        let labels = self.pool.install(|| self.model.labels(inputs, size, |_| ()))?;
        Ok(finish::series(self.config, self.model.is_shipped(), series, (slices, labels)))
    }
}
