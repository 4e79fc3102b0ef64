//! Training of the lung U-Net (stub).
/// Arguments.
#[derive(Debug, clap::Args)]
pub struct TrainUnetArgs {}
/// Error.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {}
impl contract::Coded for TrainingError {
    fn exit(&self) -> contract::Exit {
        match *self {}
    }
}
/// Runs.
pub fn run(_: &TrainUnetArgs) -> Result<(), crate::Error> {
    Ok(())
}
