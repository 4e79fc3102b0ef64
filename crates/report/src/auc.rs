//! Area under the ROC curve as the Mann-Whitney probability, for weighted patients, and the counts its curve goes through.
//!
//! Formula: AUC = P(score of a positive > score of a negative) + P(equal) / 2 (Hanley and McNeil 1982; ties count one
//! half). Cost: one sort, O(n log n); each further weighting of the patients is one pass, O(n).

/// Marks the last item of a group of equal scores.
const GROUP_END: u32 = 1 << 31;

/// Items by ascending score; each belongs to a unit (a patient) whose weight may change.
#[derive(Debug, Clone)]
pub struct Ranking(Vec<u32>);

impl Ranking {
    /// Sorts items. `scores` are finite; `units[i]` is the unit of item i.
    pub fn new(scores: &[f64], units: &[usize]) -> Self {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
        let mut packed: Vec<u32> = order.iter().map(|item| units[*item] as u32).collect();
        for (place, item) in order.iter().enumerate() {
            // `==` and not bits: 0.0 and -0.0 tie.
            if order.get(place + 1).is_none_or(|next| scores[*item] != scores[*next]) {
                packed[place] |= GROUP_END;
            }
        }
        Self(packed)
    }

    /// AUC when each item of unit u counts `weights[u][0]` times as a negative and `weights[u][1]` times as a positive.
    /// None if one side has no weight.
    pub fn auc(&self, weights: &[[u32; 2]]) -> Option<f64> {
        let (mut twice_u, mut negatives, mut positives) = (0_u64, 0_u64, 0_u64);
        let (mut group_positive, mut group_negative) = (0_u64, 0_u64);
        for packed in &self.0 {
            let [negative, positive] = weights[(packed & !GROUP_END) as usize];
            group_positive += u64::from(positive);
            group_negative += u64::from(negative);
            if packed & GROUP_END != 0 {
                twice_u += group_positive * (2 * negatives + group_negative);
                positives += group_positive;
                negatives += group_negative;
                (group_positive, group_negative) = (0, 0);
            }
        }
        (positives > 0 && negatives > 0).then(|| twice_u as f64 / (2.0 * positives as f64 * negatives as f64))
    }

    /// Weight of the positives and of the negatives called positive at each threshold: (0, 0), then at and above each
    /// distinct score from the highest down.
    pub fn above(&self, positive: &[u64], negative: &[u64]) -> Vec<(u64, u64)> {
        let (mut counts, mut called) = (Vec::new(), (0, 0));
        for packed in self.0.iter().rev() {
            if packed & GROUP_END != 0 {
                counts.push(called);
            }
            let unit = (packed & !GROUP_END) as usize;
            called = (called.0 + positive[unit], called.1 + negative[unit]);
        }
        counts.push(called);
        counts
    }
}

/// How the items of each unit stand against those of the other side, in whole numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placements {
    /// By unit, summed over its items: twice the number of the other side's items on the right side of it, each tie once.
    pub twice: Vec<u64>,
    /// Items of each unit.
    pub items: Vec<u64>,
    /// Items of positive and of negative units.
    pub sides: [u64; 2],
}

impl Ranking {
    /// The placements when each unit is positive or negative as a whole: one pass over the items.
    pub fn placements(&self, positive: &[bool]) -> Placements {
        let unit = |packed: &u32| (packed & !GROUP_END) as usize;
        let (mut twice, mut items) = (vec![0; positive.len()], vec![0; positive.len()]);
        self.0.iter().for_each(|packed| items[unit(packed)] += 1);
        let of = |side: bool| items.iter().zip(positive).filter(|(_, is)| **is == side).map(|(count, _)| count).sum();
        let sides: [u64; 2] = [of(true), of(false)];
        let (mut above, mut below) = (sides[0], 0);
        for group in self.0.split_inclusive(|packed| packed & GROUP_END != 0) {
            let cases = group.iter().filter(|packed| positive[unit(packed)]).count() as u64;
            let controls = group.len() as u64 - cases;
            above -= cases;
            for unit in group.iter().map(unit) {
                twice[unit] += if positive[unit] { 2 * below + controls } else { 2 * above + cases };
            }
            below += controls;
        }
        Placements { twice, items, sides }
    }
}

/// AUC of single items. None for a one-class set.
pub fn auc(scores: &[f64], positive: &[bool]) -> Option<f64> {
    let units: Vec<usize> = (0..scores.len()).collect();
    let weights: Vec<[u32; 2]> = positive.iter().map(|is| if *is { [0, 1] } else { [1, 0] }).collect();
    Ranking::new(scores, &units).auc(&weights)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hand_worked() {
        // Positives 0.8, 0.5; negatives 0.5, 0.1: pairs 0.8>0.5, 0.8>0.1, 0.5=0.5, 0.5>0.1 -> (1 + 1 + 0.5 + 1) / 4.
        let (scores, positive) = ([0.8, 0.5, 0.5, 0.1], [true, true, false, false]);
        assert_eq!(auc(&scores, &positive), Some(0.875));
        assert_eq!(auc(&scores, &positive.map(|is| !is)), Some(0.125));
        assert_eq!(auc(&[0.3; 4], &positive), Some(0.5));
        assert_eq!(auc(&scores, &[true; 4]), None);
        // Thresholds 0.8, 0.5, 0.1 in turn: the tie comes as one step.
        let above = Ranking::new(&scores, &[0, 1, 2, 3]).above(&[1, 1, 0, 0], &[0, 0, 1, 1]);
        assert_eq!(above, [(0, 0), (1, 0), (2, 1), (2, 2)]);
    }

    #[test]
    fn placements_by_hand() {
        // Unit 0 (positive): 0.8, 0.5; unit 1: 0.5; unit 2: 0.1. 0.8 is above 2; 0.5 above 1 and equal to 1; the others see 1.5 and 2 above.
        let placements = Ranking::new(&[0.8, 0.5, 0.5, 0.1], &[0, 0, 1, 2]).placements(&[true, false, false]);
        assert_eq!(placements, Placements { twice: vec![7, 3, 4], items: vec![2, 1, 1], sides: [2, 2] });
    }

    #[test]
    fn a_weight_of_two_is_two_copies() {
        let units = [0, 0, 1, 2, 3];
        let ranking = Ranking::new(&[0.9, 0.4, 0.4, 0.6, 0.1], &units);
        let weighted = ranking.auc(&[[0, 2], [0, 1], [3, 0], [1, 0]]);
        let scores = [0.9, 0.9, 0.4, 0.4, 0.4, 0.6, 0.6, 0.6, 0.1];
        let positive = [true, true, true, true, true, false, false, false, false];
        assert_eq!(weighted, auc(&scores, &positive));
    }
}
