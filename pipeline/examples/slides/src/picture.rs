//! The picture of a slide: drawn here, or fitted from a PNG of any size.

use ab_glyph::FontRef;
use tiny_skia::{
    Color, FillRule, FilterQuality, Paint, Path, PathBuilder, Pixmap, PixmapPaint, Rect, Transform,
};

use crate::deck::{Line, Slide};
use crate::text::{Rgb, Type};
use crate::{Error, Size};

const PAPER: Rgb = Rgb(0xF7, 0xF5, 0xF0);
const EDGE: Rgb = Rgb(0x1F, 0x4E, 0x5F);
const TITLE: Rgb = Rgb(0x16, 0x32, 0x3D);
const ACCENT: Rgb = Rgb(0xE0, 0x70, 0x3A);
const BODY: Rgb = Rgb(0x2A, 0x2A, 0x2A);
const FOOT: Rgb = Rgb(0x7A, 0x7A, 0x72);

/// A picture as a film takes it: opaque RGBA, four bytes a pixel, row by row from the top.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    size: Size,
    pixels: Pixmap,
}

impl Picture {
    /// Draws a slide: its title, its lines and the deck's title at the foot.
    ///
    /// Lines are set smaller until they fit; what still does not fit at the smallest legible size
    /// is cut off.
    ///
    /// # Errors
    ///
    /// Only if this program's own fonts are broken.
    pub fn draw(slide: &Slide, size: Size) -> Result<Picture, Error> {
        let mut picture = Picture::blank(size, PAPER)?;
        let fonts = Fonts::load()?;
        let unit = size.height() as f32 / 720.0;
        let page = Page { unit, width: size.width() as f32, height: size.height() as f32 };
        page.edge(&mut picture.pixels);
        page.foot(&mut picture.pixels, &fonts, &slide.deck);
        let top = page.title(&mut picture.pixels, &fonts, &slide.title);
        page.lines(&mut picture.pixels, &fonts, &slide.lines, top);
        Ok(picture)
    }

    /// Reads a PNG and fits it into the film's picture, whole and in its own proportions, with
    /// black around it.
    ///
    /// # Errors
    ///
    /// [`Error::Png`] if `png` is none.
    pub fn fit(png: &[u8], size: Size) -> Result<Picture, Error> {
        let broken = |problem: &dyn ToString| Error::Png { problem: problem.to_string() };
        let source = Pixmap::decode_png(png).map_err(|e| broken(&e))?;
        let mut picture = Picture::blank(size, Rgb(0, 0, 0))?;
        let (to_w, to_h) = (size.width() as f32, size.height() as f32);
        let (from_w, from_h) = (source.width() as f32, source.height() as f32);
        let scale = (to_w / from_w).min(to_h / from_h);
        let (x, y) = ((to_w - scale * from_w) / 2.0, (to_h - scale * from_h) / 2.0);
        // A picture of the film's own size is copied, not filtered.
        let quality = if (scale - 1.0).abs() < f32::EPSILON {
            FilterQuality::Nearest
        } else {
            FilterQuality::Bicubic
        };
        let paint = PixmapPaint { quality, ..PixmapPaint::default() };
        let place = Transform::from_row(scale, 0.0, 0.0, scale, x, y);
        picture.pixels.draw_pixmap(0, 0, source.as_ref(), &paint, place, None);
        Ok(picture)
    }

    /// The picture as a PNG file.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`] if the encoder fails.
    pub fn png(&self) -> Result<Vec<u8>, Error> {
        self.pixels.encode_png().map_err(|e| Error::encode("PNG", e))
    }

    /// Its size in pixels.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Four bytes a pixel: red, green, blue, 255.
    pub fn rgba(&self) -> &[u8] {
        self.pixels.data()
    }

    fn blank(size: Size, colour: Rgb) -> Result<Picture, Error> {
        let pixels = Pixmap::new(size.width() as u32, size.height() as u32);
        let mut pixels = pixels.ok_or_else(|| Error::Size { asked: size.to_string() })?;
        pixels.fill(solid(colour));
        Ok(Picture { size, pixels })
    }
}

/// The two weights of Noto Sans.
struct Fonts {
    regular: FontRef<'static>,
    bold: FontRef<'static>,
}

impl Fonts {
    fn load() -> Result<Fonts, Error> {
        let font = |bytes| FontRef::try_from_slice(bytes).map_err(|e| Error::encode("font", e));
        Ok(Fonts { regular: font(notosans::REGULAR_TTF)?, bold: font(notosans::BOLD_TTF)? })
    }
}

/// Where things stand. Lengths are of a page 720 high, scaled by `unit`.
struct Page {
    unit: f32,
    width: f32,
    height: f32,
}

impl Page {
    const LEFT: f32 = 96.0;
    const RIGHT: f32 = 104.0;

    fn edge(&self, onto: &mut Pixmap) {
        fill_rect(onto, [0.0, 0.0, 16.0 * self.unit, self.height], EDGE);
    }

    fn foot(&self, onto: &mut Pixmap, fonts: &Fonts, text: &str) {
        let face = Type { font: &fonts.regular, px: 26.0 * self.unit };
        // Of a title too long for one line, its first.
        for row in face.wrap(text, self.inner()).iter().take(1) {
            let x = self.width - 48.0 * self.unit - face.width(row);
            face.draw(onto, x, self.height - 44.0 * self.unit, row, FOOT);
        }
    }

    /// Draws the title and the stroke below it, and says how far down they reach.
    fn title(&self, onto: &mut Pixmap, fonts: &Fonts, title: &str) -> f32 {
        const LEADING: f32 = 1.13;
        let face = self.largest(&fonts.bold, &[76.0, 60.0, 48.0], 180.0, |face| {
            face.wrap(title, self.inner()).len() as f32 * LEADING * face.px
        });
        let mut base = 150.0 * self.unit;
        for (n, line) in face.wrap(title, self.inner()).iter().enumerate() {
            base += if n > 0 { LEADING * face.px } else { 0.0 };
            face.draw(onto, Self::LEFT * self.unit, base, line, TITLE);
        }
        let stroke = [Self::LEFT, base / self.unit + 38.0, 160.0, 8.0].map(|v| v * self.unit);
        fill_rect(onto, stroke, ACCENT);
        base + 46.0 * self.unit
    }

    fn lines(&self, onto: &mut Pixmap, fonts: &Fonts, lines: &[Line], top: f32) {
        const LEADING: f32 = 1.26;
        const GAP: f32 = 0.5;
        let end = self.height - 84.0 * self.unit;
        let room = (end - top) / self.unit;
        let sizes = [46.0, 40.0, 34.0, 28.0, 24.0];
        let face = self.largest(&fonts.regular, &sizes, room, |face| {
            let rows = lines.iter().map(|line| face.wrap(&line.text, self.text_width(line)).len());
            (rows.sum::<usize>() as f32 * LEADING + lines.len() as f32 * GAP) * face.px
        });
        let mut y = top + 1.55 * face.px;
        for line in lines {
            let mut x = Self::LEFT * self.unit;
            if line.bullet && y < end {
                let (middle, radius) = (y - 0.28 * face.px, 0.2 * face.px);
                let disc = PathBuilder::from_circle(x + 0.3 * face.px, middle, radius);
                fill(onto, disc.as_ref(), ACCENT);
            }
            x += self.indent(line);
            for row in face.wrap(&line.text, self.text_width(line)) {
                if y < end {
                    face.draw(onto, x, y, &row, BODY);
                }
                y += LEADING * face.px;
            }
            y += GAP * face.px;
        }
    }

    fn inner(&self) -> f32 {
        self.width - (Self::LEFT + Self::RIGHT) * self.unit
    }

    /// How far right of the margin a line's text begins.
    fn indent(&self, line: &Line) -> f32 {
        if line.bullet { 48.0 * self.unit } else { 0.0 }
    }

    fn text_width(&self, line: &Line) -> f32 {
        self.inner() - self.indent(line)
    }

    /// `font` in the first of `sizes` at which the text, by its `height`, fits into `room`; or in
    /// the last.
    fn largest<'f>(
        &self,
        font: &'f FontRef<'static>,
        sizes: &[f32],
        room: f32,
        height: impl Fn(&Type<'f>) -> f32,
    ) -> Type<'f> {
        let mut face = Type { font, px: 0.0 };
        for size in sizes {
            face.px = size * self.unit;
            if height(&face) <= room * self.unit {
                break;
            }
        }
        face
    }
}

fn solid(Rgb(red, green, blue): Rgb) -> Color {
    Color::from_rgba8(red, green, blue, 255)
}

/// Fills [x, y, width, height].
fn fill_rect(onto: &mut Pixmap, [x, y, width, height]: [f32; 4], colour: Rgb) {
    let path = Rect::from_xywh(x, y, width, height).map(PathBuilder::from_rect);
    fill(onto, path.as_ref(), colour);
}

/// Fills a path; none is nothing to fill.
fn fill(onto: &mut Pixmap, path: Option<&Path>, colour: Rgb) {
    let mut paint = Paint::default();
    paint.set_color(solid(colour));
    paint.anti_alias = true;
    if let Some(path) = path {
        onto.fill_path(path, &paint, FillRule::Winding, Transform::identity(), None);
    }
}
