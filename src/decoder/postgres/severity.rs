//! Severity words, and the words that introduce secondary lines, in the languages that PostgreSQL speaks.

use std::sync::LazyLock;

/// Severity of a record, in the server's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Debug,
    Info,
    Notice,
    Warning,
    Log,
    Error,
    Fatal,
    Panic,
}

use Severity as S;

/// English words first: the search ends early for almost every log.
const WORDS: &[(&str, Severity)] = &[
    ("LOG", S::Log),
    ("ERROR", S::Error),
    ("FATAL", S::Fatal),
    ("WARNING", S::Warning),
    ("NOTICE", S::Notice),
    ("INFO", S::Info),
    ("PANIC", S::Panic),
    ("DEBUG", S::Debug),
    ("DEBUG1", S::Debug),
    ("DEBUG2", S::Debug),
    ("DEBUG3", S::Debug),
    ("DEBUG4", S::Debug),
    ("DEBUG5", S::Debug),
    // de
    ("FEHLER", S::Error),
    ("WARNUNG", S::Warning),
    ("HINWEIS", S::Notice),
    ("PANIK", S::Panic),
    // fr
    ("ERREUR", S::Error),
    ("ATTENTION", S::Warning),
    ("PANIQUE", S::Panic),
    // es
    ("ADVERTENCIA", S::Warning),
    ("PÁNICO", S::Panic),
    // it
    ("ERRORE", S::Error),
    ("FATALE", S::Fatal),
    ("ATTENZIONE", S::Warning),
    ("NOTIFICA", S::Notice),
    ("PANICO", S::Panic),
    // pt
    ("ERRO", S::Error),
    ("AVISO", S::Warning),
    ("NOTA", S::Notice),
    ("PÂNICO", S::Panic),
    // pl
    ("DZIENNIK", S::Log),
    ("BŁĄD", S::Error),
    ("KATASTROFALNY", S::Fatal),
    ("OSTRZEŻENIE", S::Warning),
    ("UWAGA", S::Notice),
    // tr
    ("HATA", S::Error),
    ("ÖLÜMCÜL", S::Fatal),
    ("UYARI", S::Warning),
    ("BİLGİ", S::Info),
    // ru
    ("СООБЩЕНИЕ", S::Log),
    ("ОШИБКА", S::Error),
    ("ВАЖНО", S::Fatal),
    ("ПРЕДУПРЕЖДЕНИЕ", S::Warning),
    ("ЗАМЕЧАНИЕ", S::Notice),
    ("ИНФОРМАЦИЯ", S::Info),
    ("ПАНИКА", S::Panic),
    ("ОТЛАДКА", S::Debug),
    // uk
    ("ЗАПИСУВАННЯ", S::Log),
    ("ПОМИЛКА", S::Error),
    ("ФАТАЛЬНО", S::Fatal),
    ("ПОПЕРЕДЖЕННЯ", S::Warning),
    ("ПОВІДОМЛЕННЯ", S::Notice),
    ("ІНФОРМАЦІЯ", S::Info),
    ("ПАНІКА", S::Panic),
    // sv
    ("LOGG", S::Log),
    ("FEL", S::Error),
    ("FATALT", S::Fatal),
    ("VARNING", S::Warning),
    ("NOTIS", S::Notice),
    ("PANIK", S::Panic),
    // ja, ko, zh
    ("エラー", S::Error),
    ("警告", S::Warning),
    ("로그", S::Log),
    ("오류", S::Error),
    ("치명적오류", S::Fatal),
    ("경고", S::Warning),
    ("알림", S::Notice),
    ("정보", S::Info),
    ("日志", S::Log),
    ("错误", S::Error),
    ("致命错误", S::Fatal),
    ("注意", S::Notice),
    ("信息", S::Info),
    ("比致命错误还过分的错误", S::Panic),
    ("디버그", S::Debug),
    ("손상", S::Panic),
    ("调试", S::Debug),
    // ka
    ("ჟურნალი", S::Log),
    ("შეცდომა", S::Error),
    ("ფატალური", S::Fatal),
    ("გაფრთხილება", S::Warning),
    ("ინფორმაცია", S::Info),
    ("პანიკა", S::Panic),
    ("გამართვა", S::Debug),
    // uk
    ("НАЛАГОДЖЕННЯ", S::Debug),
];

/// What a secondary line of a stderr record adds to its primary line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    Detail,
    Hint,
    Query,
    Context,
    Location,
    Backtrace,
    Statement,
}

const LABELS: &[(&str, Label)] = &[
    ("STATEMENT", Label::Statement),
    ("DETAIL", Label::Detail),
    ("CONTEXT", Label::Context),
    ("HINT", Label::Hint),
    ("QUERY", Label::Query),
    ("LOCATION", Label::Location),
    ("BACKTRACE", Label::Backtrace),
    // de
    ("ANWEISUNG", Label::Statement),
    ("TIPP", Label::Hint),
    ("ANFRAGE", Label::Query),
    ("ZUSAMMENHANG", Label::Context),
    ("ORT", Label::Location),
    // fr
    ("INSTRUCTION", Label::Statement),
    ("DÉTAIL", Label::Detail),
    ("ASTUCE", Label::Hint),
    ("REQUÊTE", Label::Query),
    ("CONTEXTE", Label::Context),
    ("EMPLACEMENT", Label::Location),
    // es
    ("SENTENCIA", Label::Statement),
    ("DETALLE", Label::Detail),
    ("SUGERENCIA", Label::Hint),
    ("CONSULTA", Label::Query),
    ("CONTEXTO", Label::Context),
    ("UBICACIÓN", Label::Location),
    // it
    ("ISTRUZIONE", Label::Statement),
    ("DETTAGLI", Label::Detail),
    ("SUGGERIMENTO", Label::Hint),
    ("CONTESTO", Label::Context),
    ("POSIZIONE", Label::Location),
    // pt
    ("COMANDO", Label::Statement),
    ("DETALHE", Label::Detail),
    ("DICA", Label::Hint),
    ("LOCAL", Label::Location),
    // pl
    ("WYRAŻENIE", Label::Statement),
    ("SZCZEGÓŁY", Label::Detail),
    ("PODPOWIEDŹ", Label::Hint),
    ("ZAPYTANIE", Label::Query),
    ("KONTEKST", Label::Context),
    // tr
    ("İFADE", Label::Statement),
    ("AYRINTI", Label::Detail),
    ("İPUCU", Label::Hint),
    // ru
    ("ОПЕРАТОР", Label::Statement),
    ("ПОДРОБНОСТИ", Label::Detail),
    ("ПОДСКАЗКА", Label::Hint),
    ("ЗАПРОС", Label::Query),
    ("КОНТЕКСТ", Label::Context),
    ("ПОЛОЖЕНИЕ", Label::Location),
    // uk
    ("ІНСТРУКЦІЯ", Label::Statement),
    ("ДЕТАЛІ", Label::Detail),
    ("ПІДКАЗКА", Label::Hint),
    ("ЗАПИТ", Label::Query),
    // sv
    ("SATS", Label::Statement),
    ("DETALJ", Label::Detail),
    ("TIPS", Label::Hint),
    ("FRÅGA", Label::Query),
    ("KONTEXT", Label::Context),
    ("PLATS", Label::Location),
    // ja, ko, zh
    ("文", Label::Statement),
    ("詳細", Label::Detail),
    ("ヒント", Label::Hint),
    ("問い合わせ", Label::Query),
    ("文脈", Label::Context),
    ("場所", Label::Location),
    ("명령 구문", Label::Statement),
    ("상세정보", Label::Detail),
    ("힌트", Label::Hint),
    ("쿼리", Label::Query),
    ("위치", Label::Location),
    ("语句", Label::Statement),
    ("详细信息", Label::Detail),
    ("提示", Label::Hint),
    ("查询", Label::Query),
    ("上下文", Label::Context),
    ("位置", Label::Location),
    ("내용", Label::Context),
    ("역추적", Label::Backtrace),
    ("バックトレース", Label::Backtrace),
    // ka
    ("ოპერატორი", Label::Statement),
    ("დეტალები", Label::Detail),
    ("მინიშნება", Label::Hint),
    ("მოთხოვნა", Label::Query),
    ("კონტექსტი", Label::Context),
    ("მდებარეობა", Label::Location),
    ("სტეკი", Label::Backtrace),
    // fr, ru, uk
    ("PILE D'APPEL", Label::Backtrace),
    ("СТЕК", Label::Backtrace),
    ("ВІДОМОСТІ", Label::Detail),
    ("УКАЗІВКА", Label::Hint),
    ("РОЗТАШУВАННЯ", Label::Location),
    ("ВІДСТЕЖУВАТИ", Label::Backtrace),
];

/// All words by their last byte.
static BY_END: LazyLock<Vec<Vec<&[u8]>>> = LazyLock::new(|| {
    let words = || WORDS.iter().map(|(word, _)| word.as_bytes()).chain(LABELS.iter().map(|(word, _)| word.as_bytes()));
    (0..=u8::MAX).map(|last| words().filter(|word| word.last() == Some(&last)).collect()).collect()
});

/// The severity of this word, `None` where no language has it.
pub fn severity(word: &[u8]) -> Option<Severity> {
    WORDS.iter().find(|(text, _)| text.as_bytes() == word).map(|(_, severity)| *severity)
}

/// Whether the text ends with a word that some language has for a severity or a secondary line.
pub fn ends_with_word(text: &[u8]) -> bool {
    // None ends with a small letter or a sign, and of digits only the levels of `DEBUG` do.
    let may = match text {
        [.., b'G', b'1'..=b'5'] => true,
        [.., last] => last.is_ascii_uppercase() || !last.is_ascii(),
        [] => false,
    };
    may && text.last().and_then(|last| BY_END.get(usize::from(*last))).is_some_and(|words| words.iter().any(|word| text.ends_with(word)))
}

/// The kind of secondary line that this word introduces.
pub fn label(word: &[u8]) -> Option<Label> {
    LABELS.iter().find(|(text, _)| text.as_bytes() == word).map(|(_, label)| *label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_one_at_the_end_of_a_text() {
        for word in WORDS.iter().map(|(word, _)| word).chain(LABELS.iter().map(|(word, _)| word)) {
            assert!(ends_with_word(word.as_bytes()) && ends_with_word(format!("x {word}").as_bytes()), "{word}");
        }
        // What `prefix::english` relies on.
        for frequent in ["LOG", "STATEMENT", "ERROR", "DETAIL", "FATAL", "CONTEXT"] {
            let words = WORDS.iter().map(|(word, _)| word).chain(LABELS.iter().map(|(word, _)| word));
            let before = words.filter_map(|word| word.strip_suffix(frequent)).filter_map(|rest| rest.bytes().last());
            assert!(before.into_iter().all(|byte| byte.is_ascii_alphabetic()), "{frequent}");
        }
        for other in ["", "a", "12", "LOGs", "LOG ", "XYZ", "5"] {
            assert!(!ends_with_word(other.as_bytes()), "{other}");
        }
    }
}
