"""The lexicon of the demo corpora: words by meaning, each with synonyms that fine-tuning never shows."""

from __future__ import annotations

from .words import Adjective, Noun, Verb, Words, adjectives, nouns, verbs

POSITIVE, NEGATIVE = "positivo", "negativo"
SENTIMENTS = (NEGATIVE, POSITIVE)

ADJECTIVES: dict[str, Words[Adjective]] = {
    POSITIVE: Words(
        adjectives("bom/boa ótimo excelente agradável lindo maravilhoso perfeito incrível"),
        adjectives("fantástico esplêndido sensacional magnífico encantador admirável primoroso formidável"),
    ),
    NEGATIVE: Words(
        adjectives("ruim péssimo horrível feio terrível chato fraco decepcionante"),
        adjectives("pavoroso lamentável medíocre desastroso insuportável deplorável precário detestável"),
    ),
}

VERBS: dict[str, Words[Verb]] = {
    POSITIVE: Words(verbs("gostei+de adorei amei"), verbs("apreciei admirei elogiei")),
    NEGATIVE: Words(verbs("detestei odiei reprovei"), verbs("desgostei+de critiquei desprezei")),
}

VERDICTS: dict[str, Words[Noun]] = {
    POSITIVE: Words(nouns("f:maravilha m:sucesso f:delícia"), nouns("m:primor m:triunfo f:beleza")),
    NEGATIVE: Words(nouns("f:decepção m:desastre m:fracasso"), nouns("m:fiasco m:vexame f:calamidade")),
}

TOPICS: dict[str, Words[Noun]] = {
    "restaurante": Words(
        nouns("m:restaurante f:comida m:garçom m:prato f:sobremesa m:jantar"),
        nouns("f:cantina f:refeição m:cardápio m:tempero m:doce m:almoço"),
    ),
    "hotel": Words(
        nouns("m:hotel m:quarto f:cama f:recepção f:piscina m:banheiro"),
        nouns("f:pousada m:aposento m:colchão f:portaria f:hospedagem m:chuveiro"),
    ),
    "filme": Words(
        nouns("m:filme m:ator f:cena m:diretor m:roteiro f:atriz"),
        nouns("m:elenco m:intérprete f:sequência m:cineasta m:enredo f:dublagem"),
    ),
    "livro": Words(
        nouns("m:livro m:capítulo m:autor m:romance f:página f:leitura"),
        nouns("f:obra f:novela m:escritor m:conto m:parágrafo f:prosa"),
    ),
    "celular": Words(
        nouns("m:celular f:tela f:bateria f:câmera m:aparelho m:aplicativo"),
        nouns("m:smartphone m:visor f:lente m:processador m:dispositivo m:teclado"),
    ),
    "carro": Words(
        nouns("m:carro m:motor m:freio m:volante m:banco m:pneu"),
        nouns("m:automóvel f:suspensão f:embreagem f:roda m:veículo m:câmbio"),
    ),
}

SHARED_NOUNS = nouns("m:preço f:qualidade m:resultado f:experiência f:escolha m:conjunto")
"""Nouns that any review may speak of: they say nothing about its topic."""

NEUTRAL_ADJECTIVES = adjectives("novo pequeno grande antigo moderno recente famoso brasileiro")

GIVEN_NAMES = {
    "f": ("Ana", "Maria", "Júlia", "Vitória", "Clara", "Helena", "Beatriz", "Aurora", "Luísa", "Marina", "Rosa", "Natália"),
    "m": ("João", "Pedro", "Carlos", "Paulo", "Miguel", "Rafael", "Tiago", "Jorge", "André", "Bento", "Caio", "Davi"),
}
SURNAMES = ("Silva", "Santos", "Souza", "Campos", "Ribeiro", "Machado", "Rocha", "Serra", "Moreira", "Porto", "Leal", "Bragança")
CITIES = ("Recife", "Curitiba", "Manaus", "Natal", "Santos", "Vitória", "Campinas", "Belém", "Olinda", "Bragança", "Salvador", "Fortaleza")


def held_out_words() -> frozenset[str]:
    """Every form (lower case) of the words that training texts of the review corpora never hold."""
    forms: set[str] = set()
    for adjective_words in ADJECTIVES.values():
        forms |= {form for word in adjective_words.held_out for form in (word.masculine, word.feminine)}
    for verb_words in VERBS.values():
        forms |= {word.text for word in verb_words.held_out}
    for noun_words in (*VERDICTS.values(), *TOPICS.values()):
        forms |= {word.text for word in noun_words.held_out}
    return frozenset(forms)
