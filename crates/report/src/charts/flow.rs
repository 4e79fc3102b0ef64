//! The way of the patients and slices through the study, as boxes: what goes on to the left, what is left out to the right.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::{Area, Failure, GREY, colour, style, svg, wrapped};
use crate::error::Error;
use crate::flow::{Flow, Words};

/// Left and right edge of the boxes that go on, and of those left out, px.
const MAIN: (i32, i32) = (20, 640);
const ASIDE: (i32, i32) = (720, 1180);
const WHOLE: u32 = 1200;
const TEXT: f64 = 32.0;
const LINE: i32 = 38;
const PAD: i32 = 18;
const GAP: i32 = 44;
/// Space between the boxes of two classes.
const BETWEEN: i32 = 20;

/// A box: its title, then lines, all wrapped.
struct Boxed {
    title: Vec<String>,
    lines: Vec<String>,
}

impl Boxed {
    fn new(words: &Words, (left, right): (i32, i32)) -> Self {
        // Letters of 0.55 of 0.8 of the size, wrapped early enough for most fonts; bold ones are wider.
        let letters = |factor: f64| (f64::from(right - left - 2 * PAD) / (TEXT * factor)) as usize;
        Self {
            title: wrapped(&words.title, letters(0.46)),
            lines: words.lines.iter().flat_map(|line| wrapped(line, letters(0.42))).collect(),
        }
    }

    fn height(&self) -> i32 {
        (self.title.len() + self.lines.len()) as i32 * LINE + 2 * PAD
    }

    fn draw(&self, area: &Area, (left, right): (i32, i32), top: i32) -> Result<(), Failure> {
        let corners = [(left, top), (right, top + self.height())];
        area.draw(&Rectangle::new(corners, colour(0).mix(0.08).filled()))?;
        let outline =
            [(left, top), (right, top), (right, top + self.height()), (left, top + self.height()), (left, top)];
        area.draw(&PathElement::new(outline.to_vec(), GREY.stroke_width(2)))?;
        let plain = style(TEXT, HPos::Left, VPos::Center);
        let bold = ("sans-serif", TEXT).into_font().style(FontStyle::Bold).color(&BLACK).pos(plain.pos);
        let words = self.title.iter().map(|line| (line, &bold)).chain(self.lines.iter().map(|line| (line, &plain)));
        for (row, (line, style)) in words.enumerate() {
            let at = (left + PAD, top + PAD + row as i32 * LINE + LINE / 2);
            area.draw(&Text::new(line.clone(), at, style.clone()))?;
        }
        Ok(())
    }
}

/// The flow as a diagram.
///
/// # Errors
/// plotters refuses.
pub fn flow(flow: &Flow) -> Result<String, Error> {
    let steps: Vec<(Boxed, Option<Boxed>)> = flow
        .steps
        .iter()
        .map(|step| (Boxed::new(&step.words, MAIN), step.out.as_ref().map(|out| Boxed::new(out, ASIDE))))
        .collect();
    let classes: Vec<Boxed> = {
        let count = flow.classes.len().max(1) as i32;
        flow.classes
            .iter()
            .map(|words| Boxed::new(words, (0, (ASIDE.1 - MAIN.0 + BETWEEN) / count - BETWEEN)))
            .collect()
    };
    let room = |(main, out): &(Boxed, Option<Boxed>)| main.height().max(out.as_ref().map_or(0, Boxed::height)) + GAP;
    let last = classes.iter().map(Boxed::height).max().unwrap_or(0);
    let height = PAD + steps.iter().map(room).sum::<i32>() + last + PAD;
    svg("the flow of patients", (WHOLE, height as u32), |area| {
        let mut top = PAD;
        for (place, step) in steps.iter().enumerate() {
            let goes_on = place + 1 < steps.len() || !classes.is_empty();
            pair(area, step, top, room(step), goes_on)?;
            top += room(step);
        }
        let width = (ASIDE.1 - MAIN.0 + BETWEEN) / classes.len().max(1) as i32;
        for (place, class) in classes.iter().enumerate() {
            let left = MAIN.0 + place as i32 * width;
            class.draw(area, (left, left + width - BETWEEN), top)?;
        }
        Ok(())
    })
}

/// A step and what it leaves out, with the arrows from it.
fn pair(area: &Area, (main, out): &(Boxed, Option<Boxed>), top: i32, room: i32, goes_on: bool) -> Result<(), Failure> {
    main.draw(area, MAIN, top)?;
    let middle = (MAIN.0 + MAIN.1) / 2;
    if goes_on {
        arrow(area, (middle, top + main.height()), (middle, top + room))?;
    }
    if let Some(out) = out {
        let level = top + main.height() / 2;
        out.draw(area, ASIDE, top)?;
        arrow(area, (MAIN.1, level), (ASIDE.0, level))?;
    }
    Ok(())
}

fn arrow(area: &Area, from: (i32, i32), to: (i32, i32)) -> Result<(), Failure> {
    area.draw(&PathElement::new(vec![from, to], GREY.stroke_width(3)))?;
    let (back, side) = (14, 8);
    let wings = if from.0 == to.0 {
        [(to.0 - side, to.1 - back), (to.0 + side, to.1 - back)]
    } else {
        [(to.0 - back, to.1 - side), (to.0 - back, to.1 + side)]
    };
    area.draw(&Polygon::new(vec![to, wings[0], wings[1]], GREY.filled()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Step;

    #[test]
    fn a_box_a_step_and_one_for_what_is_left_out() {
        let words = |title: &str| Words { title: title.into(), lines: vec!["1 patient".into()] };
        let steps = vec![
            Step { words: words("Input"), out: Some(words("Left out")) },
            Step { words: words("Tested"), out: None },
        ];
        let svg = flow(&Flow { steps, classes: vec![words("ill"), words("well")] }).unwrap();
        // The ground and five boxes; three arrows: aside, to the next, to the classes.
        assert_eq!((svg.matches("<rect").count(), svg.matches("<polygon").count()), (6, 3));
    }
}
