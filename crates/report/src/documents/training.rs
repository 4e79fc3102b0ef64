//! What is told of network, loss and training: the settings of `train`, in words.

use contract::config::{ClassWeights, Loss, LrSchedule, MapLoss, Optimizer, Precision, Schedule, Train};

use super::Run;
use super::markdown::plain;
use crate::format::{self, fixed, plural};

/// A sentence of what the methods' settings say: once if all say the same, else each with the methods that say it.
pub(super) fn by_method(run: &Run, head: &str, say: impl Fn(&Train) -> String) -> String {
    let said = run.config.methods.iter().map(|method| (method.name.as_str(), say(&method.train)));
    format!("{head} {}.", format::grouped(said))
}

/// Side of the attention map, cells, for slices of `side` pixels: layer 3 of ResNet18 has a stride of 16.
pub(super) fn map_side(side: u32) -> u32 {
    side.div_ceil(16)
}

/// Whether a method has an attention branch.
pub(super) fn has_attention(train: &Train) -> bool {
    train.loss != Loss::Resnet18
}

/// Whether its attention is taught.
pub(super) fn is_taught(train: &Train) -> bool {
    has_attention(train) && train.loss != Loss::Abn
}

/// The kind of network of a method.
pub(super) fn kind(train: &Train) -> &'static str {
    if has_attention(train) { "Attention Branch Network on ResNet18" } else { "ResNet18" }
}

/// The network of a method, with its input and output.
pub(super) fn network(run: &Run, train: &Train) -> String {
    let (side, classes) = (run.config.preprocess.size, run.config.classes.len());
    let input = format!("input {} x {side} x {side}, output {classes} softmax values", train.channels);
    if !has_attention(train) {
        return format!("ResNet18 (He et al., CVPR 2016) without attention branch, {input}");
    }
    let map = map_side(side);
    format!(
        "Attention Branch Network (Fukui et al., CVPR 2019, arXiv:1812.10025) on ResNet18, {input} of the perception branch: layers up to \
         layer 3 are shared, the attention branch gives logits of its own and a map M of {map} x {map} cells in 0 to 1, the perception \
         branch goes on from f * M + f"
    )
}

/// The loss of a method in the paper's notation, with the number of the equation.
pub(super) fn loss(train: &Train) -> String {
    const READING: &str = "a control: another reading of the paper's equation (4)";
    let gamma = train.gamma;
    let (formula, which) = match train.loss {
        Loss::Gamma => (
            "L_att + L_per + gamma * L_map",
            format!("the conventional loss, equation (3) of the paper, with gamma = {gamma}"),
        ),
        Loss::Alpha => (
            "alpha * (L_att + L_map) + (1 - alpha) * L_per",
            "the proposed loss, equation (4) of the paper as read here: its first term is unreadable in our copy"
                .to_owned(),
        ),
        Loss::AlphaKeepAtt => ("L_att + (1 - alpha) * L_per + alpha * L_map", READING.to_owned()),
        Loss::AlphaMapOnly => ("(1 - alpha) * L_per + alpha * L_map", READING.to_owned()),
        Loss::AlphaMapVsCls => ("(1 - alpha) * (L_att + L_per) + alpha * L_map", READING.to_owned()),
        Loss::Abn => ("L_att + L_per", "equation (1) of the paper: attention is not taught".to_owned()),
        Loss::Resnet18 => ("L_per", "cross-entropy alone".to_owned()),
    };
    let scaled = if train.normalize_weights { ", the three weights scaled to sum to 3 in every epoch" } else { "" };
    format!("`L = {formula}` ({which}{scaled})")
}

/// The terms of a method's loss that need words; None for plain cross-entropy.
pub(super) fn terms(train: &Train) -> Option<String> {
    let map = match train.map_loss {
        MapLoss::Mse => "the mean over batch and map of (M' - M)^2, equation (2) as the paper's words say",
        MapLoss::L2 => "the mean over the batch of the Euclidean norm of M' - M, equation (2) as printed",
        MapLoss::Bce => "the binary cross-entropy of M against M'",
        MapLoss::Dice => "one minus the soft Dice coefficient of M and M'",
    };
    let branches = "L_att and L_per are the cross-entropies of the attention and of the perception branch";
    match (has_attention(train), is_taught(train)) {
        (false, _) => None,
        (true, false) => Some(format!("{branches}.")),
        (true, true) => Some(format!("{branches}; L_map is {map}, with M' the lung mask averaged down to the map M.")),
    }
}

/// The course of alpha; None for a loss without it.
pub(super) fn schedule(train: &Train) -> Option<String> {
    if matches!(train.loss, Loss::Gamma | Loss::Abn | Loss::Resnet18) {
        return None;
    }
    let (early, late, epochs) = (train.alpha_early, train.alpha_late, train.epochs);
    // Epoch n is index_base more than its number from 0, and early while n < E / 2.
    let first = (0..epochs).filter(|epoch| 2 * (epoch + train.index_base) < epochs).count();
    Some(match train.schedule {
        Schedule::Step => {
            format!(
                "alpha is {early} in the first {first} of {epochs} epochs and {late} after (equation (5) of the paper)"
            )
        }
        Schedule::Linear => format!("alpha goes from {early} to {late} in a straight line over {epochs} epochs"),
        Schedule::Cosine => format!("alpha goes from {early} to {late} along half a cosine over {epochs} epochs"),
        Schedule::Constant => format!("alpha is {early} throughout"),
    })
}

/// Loss and course of alpha.
pub(super) fn loss_and_schedule(train: &Train) -> String {
    let schedule = schedule(train).map_or(String::new(), |schedule| format!(", {schedule}"));
    format!("{}{schedule}", loss(train))
}

/// The network and the loss of every method.
pub(super) fn model(run: &Run) -> Vec<String> {
    let mut told = vec![by_method(run, "Network:", |train| network(run, train))];
    let of =
        |method: &contract::config::Method| format!("Loss of {}: {}.", method.name, loss_and_schedule(&method.train));
    told.extend(run.config.methods.iter().map(of));
    let mut terms: Vec<String> = run.config.methods.iter().filter_map(|method| terms(&method.train)).collect();
    terms.sort_by_key(|term| std::cmp::Reverse(term.len()));
    told.extend(terms.into_iter().next());
    told
}

/// Where the weights of a method's networks start.
pub(super) fn start(run: &Run, name: &str, train: &Train) -> String {
    let Some(path) = &train.init else {
        return "drawn from the seed (He et al., arXiv:1502.01852)".to_owned();
    };
    let file = path.file_name().map_or(String::new(), |name| plain(&name.to_string_lossy()));
    let hash = run.files.init.get(name).map_or(String::new(), |hash| format!(" (BLAKE3 {})", super::data::short(hash)));
    format!("the file {file}{hash}; what it lacks is drawn from the seed")
}

/// Initial weights of all methods.
pub(super) fn initial(run: &Run) -> String {
    let said = run.config.methods.iter().map(|method| (method.name.as_str(), start(run, &method.name, &method.train)));
    format!("Initial weights: {}.", format::grouped(said))
}

fn optimizer(train: &Train) -> String {
    match train.optimizer {
        Optimizer::Sgd => {
            let nesterov = if train.nesterov { ", Nesterov" } else { "" };
            format!("SGD with momentum {}{nesterov} and weight decay {}", train.momentum, train.weight_decay)
        }
        Optimizer::Adamw => format!(
            "AdamW with beta {} and {}, epsilon {:e} and weight decay {}",
            train.beta1, train.beta2, train.eps, train.weight_decay
        ),
    }
}

fn learning_rate(train: &Train) -> String {
    let course = match train.lr_schedule {
        LrSchedule::Constant => "constant",
        LrSchedule::Cosine => "falling to 0 along half a cosine",
        LrSchedule::Step => "times 0.1 at 1/2 and at 3/4 of the way",
    };
    let warmup = match train.warmup_epochs {
        0 => String::new(),
        epochs => format!(" after a linear rise over {}", plural(epochs.into(), "epoch")),
    };
    format!("{}, {course}{warmup}", train.lr)
}

fn augmentation(train: &Train) -> String {
    let mut draws = Vec::new();
    if train.flip > 0.0 {
        draws.push(format!("left-right flip with probability {}", train.flip));
    }
    let ranges = [
        (train.rotate_deg, "rotation up to", " degrees"),
        (train.scale * 100.0, "zoom up to", " %"),
        (train.shift * 100.0, "shift up to", " % of the side"),
        (train.brightness * 100.0, "brightness up to", " % of the range"),
        (train.contrast * 100.0, "contrast up to", " %"),
    ];
    let on = ranges.into_iter().filter(|(range, ..)| *range > 0.0);
    draws.extend(on.map(|(range, what, unit)| format!("{what} {}{unit}", fixed(range, 1).trim_end_matches(".0"))));
    if draws.is_empty() {
        "none".to_owned()
    } else {
        format!("{}, drawn anew for each slice and epoch", draws.join(", "))
    }
}

/// Words before a setting, and what a method's settings say of it.
type Detail = (&'static str, fn(&Train) -> String);

/// How training goes.
const DETAILS: [Detail; 6] = [
    ("Training:", |train| format!("{}, batches of {}", plural(train.epochs.into(), "epoch"), train.batch_size)),
    ("Optimiser:", optimizer),
    ("Learning rate:", learning_rate),
    ("Augmentation:", augmentation),
    CLASS_WEIGHTS,
    ("Number format:", |train| match train.precision {
        Precision::F32 => "32-bit floats".to_owned(),
        Precision::Bf16 => "convolutions in bfloat16, the rest in 32-bit floats".to_owned(),
    }),
];

/// How the cross-entropies weigh the classes.
const CLASS_WEIGHTS: Detail = ("Class weights of the cross-entropies:", |train| match train.class_weights {
    ClassWeights::None => "none".to_owned(),
    ClassWeights::Balanced => "inverse frequency in the training slices, mean 1".to_owned(),
});

/// How training goes for all methods.
pub(super) fn details(run: &Run) -> Vec<String> {
    DETAILS.map(|(head, say)| by_method(run, head, say)).to_vec()
}

/// How training goes for one method.
pub(super) fn details_of(train: &Train) -> Vec<String> {
    DETAILS.map(|(head, say)| format!("{head} {}.", say(train))).to_vec()
}

/// How the cross-entropies of all methods weigh the classes.
pub(super) fn class_weights(run: &Run) -> String {
    by_method(run, CLASS_WEIGHTS.0, CLASS_WEIGHTS.1)
}

/// How many networks were trained, from which seeds.
pub(super) fn networks(run: &Run) -> String {
    let folds = run.files.partitions.len();
    let total: usize = run.config.methods.iter().map(|method| method.seeds.len() * folds).sum();
    let seeds = run.config.methods.iter().map(|method| (method.name.as_str(), format::list(&method.seeds)));
    format!(
        "{} trained, one for each method, fold and seed (seeds: {}).",
        plural(total as u64, "network"),
        format::grouped(seeds)
    )
}

/// How the network that is tested was chosen.
pub(super) const SELECTION: &str = "The weights of the last epoch are tested: the program chooses no epoch, threshold or setting by what is \
    reported.";

/// How networks come together.
pub(super) fn ensembles(run: &Run) -> String {
    let most = run.config.methods.iter().map(|method| method.seeds.len()).max().unwrap_or(0);
    if most > 1 {
        return "By slice no ensemble: metrics are computed seed by seed and averaged. By patient the networks of all seeds decide together; results of \
                single seeds are in metrics.json."
            .to_owned();
    }
    "No ensemble: one network for each method and fold.".to_owned()
}

/// Programs and libraries, with what they ran on.
pub(super) fn software(run: &Run) -> Vec<String> {
    let version = run.condition("chumoku").unwrap_or(env!("CARGO_PKG_VERSION"));
    let mut told = vec![format!("Chumoku {version}, in Rust.")];
    let libtorch = ["preprocess", "train"]
        .into_iter()
        .filter_map(|stage| run.condition(&format!("{stage}: libtorch")).map(|version| (stage, plain(version))));
    let libtorch: Vec<(&str, String)> = libtorch.collect();
    if !libtorch.is_empty() {
        told.push(format!("libtorch {}.", format::grouped(libtorch)));
    }
    told
}

/// Device and threads of the training runs, if their receipts are there.
pub(super) fn hardware(run: &Run) -> Option<String> {
    let device = run.condition("train: device")?;
    let threads = run
        .condition("train: threads")
        .map_or(String::new(), |threads| format!(", threads of a run: {}", plain(threads)));
    Some(format!("Trained on: {}{threads}.", plain(device)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::config::Config;

    fn train(settings: &str) -> Train {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("study.yaml");
        std::fs::write(
            &path,
            format!("study: s\ntrain: {{methods: {{conventional: {{loss: gamma}}, proposed: {{{settings}}}}}}}\n"),
        )
        .unwrap();
        Config::load(&path, &[]).unwrap().method("proposed").unwrap().train.clone()
    }

    /// Equation (5) of the paper, n = 1, 2, ...: E = 100: 49 is early; E = 5: 1 and 2; E = 2: none.
    #[test]
    fn alpha_is_early_in_less_than_half_of_the_epochs() {
        for (epochs, first) in [(100, 49), (5, 2), (2, 0), (12, 5)] {
            let said = schedule(&train(&format!("loss: alpha, epochs: {epochs}"))).unwrap();
            assert!(
                said.starts_with(&format!("alpha is 0.9 in the first {first} of {epochs} epochs and 0.1 after")),
                "{said}"
            );
        }
        let from_0 = schedule(&train("loss: alpha, epochs: 5, index_base: 0")).unwrap();
        assert!(from_0.starts_with("alpha is 0.9 in the first 3 of 5 epochs"), "{from_0}");
        assert_eq!(schedule(&train("loss: gamma")), None);
    }

    #[test]
    fn a_loss_has_its_equation_and_its_numbers() {
        assert_eq!(
            loss(&train("loss: gamma, gamma: 0.1")),
            "`L = L_att + L_per + gamma * L_map` (the conventional loss, equation (3) of the paper, with gamma = 0.1)"
        );
        assert!(
            loss(&train("loss: alpha"))
                .starts_with("`L = alpha * (L_att + L_map) + (1 - alpha) * L_per` (the proposed loss")
        );
        assert!(loss(&train("loss: alpha, normalize_weights: true")).ends_with("scaled to sum to 3 in every epoch)"));
        assert_eq!((terms(&train("loss: resnet18")), map_side(224), map_side(64)), (None, 14, 4));
        assert!(!terms(&train("loss: abn")).unwrap().contains("L_map"));
    }

    #[test]
    fn augmentation_that_is_off_is_not_told() {
        let off = "flip: 0, rotate_deg: 0, scale: 0, shift: 0, brightness: 0, contrast: 0";
        assert_eq!(augmentation(&train(&format!("loss: alpha, {off}"))), "none");
        assert!(
            augmentation(&train("loss: alpha"))
                .starts_with("left-right flip with probability 0.5, rotation up to 10 degrees, zoom up to 10 %")
        );
    }
}
