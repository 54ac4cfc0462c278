//! Text on a picture: measuring, wrapping and drawing lines of one font.

use ab_glyph::{Font, FontRef, GlyphId, PxScale, ScaleFont, point};
use tiny_skia::Pixmap;

/// An opaque colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rgb(pub(crate) u8, pub(crate) u8, pub(crate) u8);

/// A font at one size.
pub(crate) struct Type<'f> {
    pub(crate) font: &'f FontRef<'static>,
    /// Height of a line's letters, in pixels.
    pub(crate) px: f32,
}

impl Type<'_> {
    /// Each character's glyph with the place where it begins, and the width of all.
    fn set(&self, text: &str) -> (Vec<(GlyphId, f32)>, f32) {
        let font = self.font.as_scaled(self.px);
        let (mut x, mut last, mut glyphs) = (0.0, None, Vec::new());
        for glyph in text.chars().map(|c| font.glyph_id(c)) {
            if let Some(last) = last {
                x += font.kern(last, glyph);
            }
            glyphs.push((glyph, x));
            x += font.h_advance(glyph);
            last = Some(glyph);
        }
        (glyphs, x)
    }

    /// How wide `text` will be, in pixels.
    pub(crate) fn width(&self, text: &str) -> f32 {
        self.set(text).1
    }

    /// `text` in lines no wider than `max` pixels, unless one word alone is.
    pub(crate) fn wrap(&self, text: &str, max: f32) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            match lines.last_mut() {
                Some(line) if self.width(&format!("{line} {word}")) <= max => {
                    line.push(' ');
                    line.push_str(word);
                }
                _ => lines.push(word.to_string()),
            }
        }
        lines
    }

    /// Draws `text` from (`x`, `base`), the left end of its base line.
    pub(crate) fn draw(&self, onto: &mut Pixmap, x: f32, base: f32, text: &str, colour: Rgb) {
        for (glyph, dx) in self.set(text).0 {
            let placed = glyph.with_scale_and_position(PxScale::from(self.px), point(x + dx, base));
            let Some(outline) = self.font.outline_glyph(placed) else { continue };
            let corner = outline.px_bounds().min;
            outline.draw(|gx, gy, coverage| {
                let at = |corner: f32, offset: u32| corner as i64 + i64::from(offset);
                blend(onto, at(corner.x, gx), at(corner.y, gy), coverage, colour);
            });
        }
    }
}

/// Lays `colour` over one pixel, as much as `coverage` (0 to 1) says; outside is nothing.
fn blend(onto: &mut Pixmap, x: i64, y: i64, coverage: f32, colour: Rgb) {
    let (width, height) = (i64::from(onto.width()), i64::from(onto.height()));
    if !(0..width).contains(&x) || !(0..height).contains(&y) {
        return;
    }
    let over = coverage.clamp(0.0, 1.0);
    let at = (y * width + x) as usize * 4;
    for (below, above) in onto.data_mut()[at..].iter_mut().zip([colour.0, colour.1, colour.2]) {
        *below = (f32::from(*below) * (1.0 - over) + f32::from(above) * over).round() as u8;
    }
}
