use std::cell::RefCell;
use std::rc::Rc;

use super::*;
use crate::corpus::Format;
use crate::corpus::tests::{all, texts};
use crate::{Annotation, Label, Layer, Sequence, Span};

/// Output that the test can look at.
#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn written_with(format: OutputFormat, sentences: &[Sentence], options: WriteOptions) -> String {
    let out = Shared::default();
    let mut writer = writer(format, Box::new(out.clone()), options);
    for sentence in sentences {
        writer.write(sentence).expect("memory");
    }
    writer.finish().expect("memory");
    String::from_utf8(out.0.take()).expect("UTF-8")
}

fn written(format: OutputFormat, sentences: &[Sentence]) -> String {
    written_with(format, sentences, WriteOptions::default())
}

fn with_scores() -> WriteOptions {
    WriteOptions { scores: true, ..WriteOptions::default() }
}

fn scored() -> Sentence {
    let mut sentence = Sentence::from_tokens(&["Zoë", "Lund", "\"ran\n", "."]);
    let label = |value: &str| Label { value: value.into(), score: 0.98766 };
    sentence.set_layer(Layer::new(
        "upos",
        Annotation::Tokens(["A", "B", "C", "D"].map(label).to_vec()),
    ));
    let span = |tokens, label: &str| Span { tokens, label: label.into(), score: 0.5 };
    sentence
        .set_layer(Layer::new("ner", Annotation::Spans(vec![span(0..2, "PER"), span(2..3, "X")])));
    sentence
}

#[test]
fn inline_is_for_reading() {
    let mut sentence =
        Sentence::from_tokens(&["George", "Washington", "went", "to", "Washington", "."]);
    assert_eq!(
        written(OutputFormat::Inline, std::slice::from_ref(&sentence)),
        "George Washington went to Washington .\n"
    );
    sentence.set_layer(Layer::from_tags("ner", &["B-PER", "I-PER", "O", "O", "B-LOC", "O"]));
    let want = "George Washington went to Washington . → [\"George Washington\"/PER, \"Washington\"/LOC]\n";
    assert_eq!(written(OutputFormat::Inline, &[sentence]), want);
    let mut sentence = Sentence::from_tokens(&["The", "grass"]);
    sentence.set_layer(Layer::from_labels("upos", &["DET", "NOUN"]));
    assert_eq!(
        written(OutputFormat::Inline, &[sentence, Sentence::default()]),
        "The/DET grass/NOUN\n\n"
    );
    let want = "Zoë/A(0.99) Lund/B(0.99) \"ran /C(0.99) ./D(0.99) → [\"Zoë Lund\"/PER (0.50), \"\\\"ran \"/X (0.50)]\n";
    assert_eq!(written_with(OutputFormat::Inline, &[scored()], with_scores()), want);
}

#[test]
fn jsonl_has_slices_and_scores() {
    let mut sentences = all(Format::Jsonl, "\n{\"text\": \"𝄞 a. Zoë ran.\", \"id\": 1.50}");
    sentences[1].set_layer(Layer::from_tags("ner", &["B-PER", "O", "O"]));
    let mut upos = Layer::from_labels("upos", &["P", "V", "X"]);
    upos.sequences =
        vec![Sequence { score: 0.25, labels: vec!["P".into(), "V".into(), "X".into()] }];
    sentences[1].set_layer(upos);
    let line = written_with(OutputFormat::Jsonl, &sentences[1..], with_scores());
    let want = concat!(
        r#"{"doc":2,"text":"Zoë ran.","start":5,"end":13,"tokens":["#,
        r#"{"text":"Zoë","start":5,"end":8,"labels":{"upos":{"label":"P","score":1.0}}},"#,
        r#"{"text":"ran","start":9,"end":12,"labels":{"upos":{"label":"V","score":1.0}}},"#,
        r#"{"text":".","start":12,"end":13,"labels":{"upos":{"label":"X","score":1.0}}}],"#,
        r#""spans":[{"layer":"ner","text":"Zoë","start":5,"end":8,"label":"PER","score":1.0}],"#,
        r#""sequences":[{"layer":"upos","score":0.25,"labels":["P","V","X"]}],"meta":{"id":1.50}}"#,
        "\n"
    );
    assert_eq!(line, want);
    let utf16 = WriteOptions { offsets: Offsets::Utf16, ..WriteOptions::default() };
    let line = written_with(OutputFormat::Jsonl, &sentences[1..], utf16);
    assert!(line.contains(r#""start":6,"end":14"#) && !line.contains("1.0"), "{line}");
    let bytes = WriteOptions { offsets: Offsets::Bytes, ..WriteOptions::default() };
    assert!(
        written_with(OutputFormat::Jsonl, &sentences[1..], bytes).contains(r#""start":8,"end":17"#)
    );
    assert!(written_with(OutputFormat::Jsonl, &[scored()], with_scores()).contains("0.9877"));
    let text = written(OutputFormat::Jsonl, &all(Format::Text, "Hi."));
    assert!(
        text.starts_with(r#"{"doc":"sample","text":"Hi.","#) && text.ends_with(",\"meta\":{}}\n"),
        "{text}"
    );
}

#[test]
fn jsonl_output_is_read_back_and_written_again() {
    let mut sentence = all(Format::Jsonl, r#"{"text": "It is. Zoë 𝄞 ran.", "id": 7}"#).remove(1);
    let scored = |value: &str| Label { value: value.into(), score: 0.25 };
    let labels = ["A", "B", "C", "D"].map(scored).to_vec();
    let mut upos = Layer::new("upos", Annotation::Tokens(labels));
    upos.sequences = vec![Sequence { score: 0.125, labels: vec!["A".into(); 4] }];
    sentence.set_layer(upos);
    let spans = vec![Span { tokens: 0..2, label: "PER".into(), score: 0.5 }];
    sentence.set_layer(Layer::new("ner", Annotation::Spans(spans)));
    let empty = all(Format::Tokens, "\n").remove(0);
    let raw = all(Format::Text, "One. Two.");
    for offsets in [Offsets::Chars, Offsets::Bytes, Offsets::Utf16] {
        let options = || WriteOptions { scores: true, offsets, ..WriteOptions::default() };
        let sentences = [&[sentence.clone(), empty.clone()], &raw[..]].concat();
        let line = written_with(OutputFormat::Jsonl, &sentences, options());
        let mut back = all(Format::Jsonl, &line);
        assert_eq!(written_with(OutputFormat::Jsonl, &back, options()), line);
        assert_eq!(back[0].column("ner"), Some(vec!["B-PER", "I-PER", "O", "O"]));
        assert_eq!((back[0].document(), back[1].document()), (0, 0));
        back[0].set_layer(Layer::from_labels("new", &["X"; 4]));
        assert_eq!(back[0].layers().len(), 3);
    }
}

const CONLL: &str =
    "\u{feff}# c\r\n\nZoë  B-PER \r\nran O\r\n \t\r\n\n-DOCSTART- -X-\n\nNo O\n# end\n\n# last";
const CONLLU: &str = "\u{feff}# newdoc\n# text = Zum x\n1-2\tZum\t_\t_\t_\t_\t_\t_\t_\tNer=X\r\n\
    1\tZu\t_\tA\tB\t_\t_\t_\t_\tSpaceAfter=No|Ner=O\n2\tdem\t_\tA\t_\t_\t_\t_\t_\t_\n2.1\te\t_\t_\t_\t_\t_\t_\t_\t_\n\n\n\
    # sent_id = 2\n1\tx\t_\tA\tB\t_\t_\t_\t_\tA=b";

#[test]
fn columns_are_kept_byte_for_byte() {
    for end in ["", "\n", "\n\n", "\n\n\n# x\n"] {
        let conll = CONLL.to_owned() + end;
        assert_eq!(written(OutputFormat::Conll, &all(Format::Conll, &conll)), conll);
        let conllu = CONLLU.to_owned() + end;
        assert_eq!(written(OutputFormat::Conllu, &all(Format::Conllu, &conllu)), conllu);
    }
}

#[test]
fn lines_without_rows_are_kept_byte_for_byte() {
    let run = "# a comment\n".repeat(9000);
    for text in
        ["\u{feff}\n# only\n\n", " \n", "# c", &run, &format!("{run}{}\n{run}", &CONLL[3..])]
    {
        let mut sentences = all(Format::Conll, text);
        for sentence in &mut sentences {
            sentence.set_layer(Layer::from_labels("new", &vec!["X"; sentence.len()]));
        }
        let want = text
            .replace("PER \r", "PER X \r")
            .replace("ran O", "ran O X")
            .replace("No O", "No O X");
        let found = written(OutputFormat::Conll, &sentences);
        let same = found.bytes().zip(want.bytes()).take_while(|(a, b)| a == b).count();
        assert!(found == want, "{same} of {} bytes are the same", want.len());
        let words = usize::from(text.contains("No"));
        assert_eq!(written(OutputFormat::Inline, &sentences).lines().count(), 2 * words);
    }
    assert!(written(OutputFormat::Conllu, &all(Format::Conllu, &run)) == run);
    let text = "a\tO\n-DOCSTART-\nb\tO\n";
    assert_eq!(written(OutputFormat::Conll, &all(Format::Conll, text)), text);
}

#[test]
fn a_first_token_docstart_survives() {
    let tokens = all(Format::Tokens, "-DOCSTART- is a mark\nIt ends\n");
    let conll = written(OutputFormat::Conll, &tokens);
    assert_eq!(texts(&all(Format::Conll, &conll)), texts(&tokens));
}

#[test]
fn layers_replace_or_add_columns() {
    let mut sentences = all(Format::Conll, CONLL);
    for sentence in &mut sentences {
        let tags: Vec<_> = (0..sentence.len()).map(|_| "I-X").collect();
        sentence.set_layer(Layer::from_tags("ner", &tags));
        sentence.set_layer(Layer::from_labels("upos", &tags));
    }
    let want = CONLL
        .replace("B-PER \r", "B-X I-X \r")
        .replace("ran O", "ran I-X I-X")
        .replace("No O", "No B-X I-X");
    assert_eq!(written(OutputFormat::Conll, &sentences), want);
}

#[test]
fn layers_replace_columns_or_keys_of_conllu() {
    let mut sentences = all(Format::Conllu, CONLLU);
    for sentence in &mut sentences {
        let tags: Vec<_> = (0..sentence.len()).map(|i| if i == 0 { "B-X" } else { "O" }).collect();
        sentence.set_layer(Layer::from_tags("ner", &tags));
        sentence.set_layer(Layer::from_labels("misc:Key", &vec!["a|b"; tags.len()]));
        sentence.set_layer(Layer::from_labels("upos", &vec!["U"; tags.len()]));
        sentence.set_layer(Layer::from_labels("xpos", &vec!["V"; tags.len()]));
    }
    let want = CONLLU
        .replace("Zu\t_\tA\tB", "Zu\t_\tU\tV")
        .replace("No|Ner=O", "No|Ner=B-X|Key=a_b")
        .replace("dem\t_\tA\t_\t_\t_\t_\t_\t_\n", "dem\t_\tU\tV\t_\t_\t_\t_\tNER=O|Key=a_b\n")
        .replace("x\t_\tA\tB", "x\t_\tU\tV")
        .replace("A=b", "A=b|NER=B-X|Key=a_b");
    assert_eq!(written(OutputFormat::Conllu, &sentences), want);
}

#[test]
fn files_that_lack_their_last_newline_stay_apart() {
    for (format, output, text) in [
        (Format::Conll, OutputFormat::Conll, "a\tO"),
        (Format::Conll, OutputFormat::Conll, "a\tO\n"),
    ] {
        let one = all(format, &format!("\u{feff}{text}"));
        assert_eq!(
            written(output, &[one.clone(), one].concat()),
            format!("\u{feff}a\tO\n\n{text}")
        );
    }
}

#[test]
fn a_word_may_begin_with_the_character_of_a_byte_order_mark() {
    let odd = "a\tO\n\n\u{feff}\u{feff}c\tO\n\n\u{feff}\tO\n\n";
    let sentences = all(Format::Conll, odd);
    assert_eq!(written(OutputFormat::Conll, &sentences), odd);
    // As the first word of a file it stands behind a mark, and comes back.
    let mut sentences = [Sentence::from_tokens(&["\u{feff}", "b"])];
    sentences[0].set_layer(Layer::from_tags("ner", &["O", "O"]));
    let text = written(OutputFormat::Conll, &sentences);
    assert_eq!(text, "\u{feff}\u{feff}\tO\nb\tO\n\n");
    let again = all(Format::Conll, &text);
    assert_eq!(again[0].tokens().collect::<Vec<_>>(), ["\u{feff}", "b"]);
    assert_eq!(written(OutputFormat::Conll, &again), text);
    assert_eq!(written(OutputFormat::Tokens, &again), "\u{feff}\u{feff} b\n");
}

#[test]
fn a_file_of_a_byte_order_mark_alone_is_kept_and_marks_no_place_within() {
    for (format, output) in
        [(Format::Conll, OutputFormat::Conll), (Format::Conllu, OutputFormat::Conllu)]
    {
        let alone = all(format, "\u{feff}");
        assert_eq!(written(output, &alone), "\u{feff}");
        let first = all(format, "1\ta\t_\tA\t_\t_\t_\t_\t_\t_\n\n");
        let both = written(output, &[first.clone(), alone].concat());
        assert_eq!(both, written(output, &first));
    }
}

#[test]
fn other_sources_make_new_rows() {
    let mut sentences = all(Format::Text, "It's\nred.");
    assert_eq!(written(OutputFormat::Conll, &sentences), "It\t_\n's\t_\nred\t_\n.\t_\n\n");
    sentences[0].set_layer(Layer::from_tags("ner", &["O", "O", "I-X", "O"]));
    sentences[0].set_layer(Layer::from_labels("upos", &["", "b\tc", "D", "E"]));
    assert_eq!(
        written(OutputFormat::Conll, &sentences),
        "It\tO\t_\n's\tO\tb c\nred\tB-X\tD\n.\tO\tE\n\n"
    );
    let columns = Some(["upos", "token", "x"].map(str::to_owned).to_vec());
    let named = written_with(
        OutputFormat::Conll,
        &sentences,
        WriteOptions { columns, ..WriteOptions::default() },
    );
    assert!(named.starts_with("_\tIt\t_\nb c\t's\t_\n"), "{named}");
    let conllu = written(OutputFormat::Conllu, &sentences);
    assert!(
        conllu.starts_with(
            "# text = It's red.\n1-2\tIt's\t_\t_\t_\t_\t_\t_\t_\t_\n\
             1\tIt\t_\t_\t_\t_\t_\t_\t_\tNER=O\n2\t's\t_\tb c\t_\t_\t_\t_\t_\tNER=O\n"
        ),
        "{conllu}"
    );
    let back = all(Format::Conllu, &conllu);
    assert_eq!((texts(&back), back[0].text()), (texts(&sentences), "It's red."));
    assert_eq!(back[0].column("misc:NER"), Some(vec!["O", "O", "B-X", "O"]));
    let empty = [Sentence::default()];
    assert_eq!(written(OutputFormat::Conll, &empty) + &written(OutputFormat::Conllu, &empty), "");
}

#[test]
fn plain_texts() {
    let sentences = all(
        Format::Jsonl,
        "{\"text\": \"One\\ntwo. Three.\"}\n{\"tokens\": [\"a b\", \"c\\n\"]}\n{\"text\": \"\"}",
    );
    assert_eq!(written(OutputFormat::Lines, &sentences), "One two.\nThree.\na b c \n\n");
    assert_eq!(written(OutputFormat::Text, &sentences), "One two.\n\nThree.\n\na b c \n\n");
    assert_eq!(
        written(OutputFormat::Tokens, &sentences),
        "One two .\nThree .\na\u{a0}b c\u{a0}\n\n"
    );
}

#[test]
fn a_failing_output_is_an_io_error() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut writer = writer(OutputFormat::Lines, Box::new(Full), WriteOptions::default());
    assert!(writer.write(&scored()).is_err_and(|error| error.is_io()));
}

/// A page without its head.
fn body(page: &str) -> &str {
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</body>\n</html>\n"), "{page}");
    page.split_once("<main>\n").and_then(|(_, rest)| rest.split_once("</main>\n")).expect("main").0
}

#[test]
fn html_marks_spans_and_words_and_counts_them() {
    let page = written_with(OutputFormat::Html, &[scored()], with_scores());
    let word = |text: &str, hue, label| {
        format!(
            r#"<ruby>{text}<rt><b style="--hue:{hue}" title="upos {label}, 0.9877">{label}</b></rt></ruby>"#
        )
    };
    let want = format!(
        "<section>\n<p dir=\"auto\"><mark style=\"--hue:210\" title=\"ner PER, 0.5000\">{} {}<b>PER</b></mark> \
         <mark style=\"--hue:261\" title=\"ner X, 0.5000\">{}<b>X</b></mark> {}</p>\n</section>\n",
        word("Zoë", 347, "A"),
        word("Lund", 124, "B"),
        word("&quot;ran\n", 38, "C"),
        word(".", 175, "D"),
    );
    assert_eq!(body(&page), want);
    assert!(page.contains("<li><b style=\"--hue:210\">PER</b> ner, 1</li>"), "{page}");
    let plain = written(OutputFormat::Html, &[scored()]);
    assert!(plain.contains(r#"title="ner PER""#) && !plain.contains("0.5"), "{plain}");
}

#[test]
fn html_of_nothing_and_of_odd_text_is_a_page() {
    assert_eq!(body(&written(OutputFormat::Html, &[])), "");
    let page = written(OutputFormat::Html, &[Sentence::from_tokens(&["<&\0\u{1b}>", "שלום"])]);
    assert!(
        body(&page).contains("<p dir=\"auto\">&lt;&amp;\u{fffd}\u{fffd}&gt; שלום</p>"),
        "{page}"
    );
}

#[test]
fn html_keeps_white_space_white() {
    let page = written(OutputFormat::Html, &all(Format::Text, "One\u{c}two\u{b}three\u{85}four."));
    assert!(body(&page).contains("One\u{c}two three four."), "{page}");
}

#[test]
fn spans_of_layers_that_cross_are_shown_in_pieces() {
    let mut sentence = Sentence::from_tokens(&["a", "b", "c"]);
    sentence.set_layer(Layer::from_tags("x", &["B-X", "I-X", "O"]));
    sentence.set_layer(Layer::from_tags("y", &["O", "B-Y", "I-Y"]));
    let page = written(OutputFormat::Html, &[sentence]);
    let [x, y] = ["210\" title=\"x X", "347\" title=\"y Y"]
        .map(|rest| format!("<mark style=\"--hue:{rest}\">"));
    let want = format!("{x}a {y}b</mark><b>X</b></mark> {y}c<b>Y</b></mark></p>");
    assert!(body(&page).contains(&want), "{page}");
    assert!(page.contains("y, 1</li>"), "{page}");
}

#[test]
fn brat_points_into_the_document() {
    let mut sentence = all(Format::Text, "𝄞. Ada\nLund ran.").remove(1);
    sentence.set_layer(Layer::from_tags("ner", &["B-PER x", "I-PER x", "O", "O"]));
    sentence.set_layer(Layer::from_labels("upos", &["P", "P", "V", "X"]));
    let want = "T1\tP 3 6\tAda\nT2\tP 7 11\tLund\nT3\tV 12 15\tran\nT4\tX 15 16\t.\n\
                T5\tPER_x 3 6;7 11\tAda Lund\n";
    assert_eq!(written(OutputFormat::Brat, std::slice::from_ref(&sentence)), want);
    let scored = written_with(OutputFormat::Brat, &[sentence], with_scores());
    assert!(scored.ends_with("\nT5\tPER_x 3 6;7 11\tAda Lund\n#5\tAnnotatorNotes T5\t1.0000\n"));
}

#[test]
fn brat_says_what_stands_at_its_offsets_tabs_included() {
    let mut sentence = all(Format::Text, "Ada\tLund\rran.").remove(0);
    sentence.set_layer(Layer::from_tags("ner", &["B-PER", "I-PER", "I-PER", "O"]));
    let want = "T1\tPER 0 8;9 12\tAda\tLund ran\n";
    assert_eq!(written(OutputFormat::Brat, &[sentence]), want);
}

#[test]
fn brat_refuses_a_second_document() {
    let sentences = all(Format::Lines, "a\nb\n");
    let mut writer = writer(OutputFormat::Brat, Box::new(io::sink()), WriteOptions::default());
    writer.write(&sentences[0]).expect("memory");
    let error = writer.write(&sentences[1]).expect_err("two documents");
    assert!(matches!(error, Error::SecondDocument) && error.is_usage(), "{error}");
}
