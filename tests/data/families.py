"""The families of tokenizers that every test of tokenization runs over, and what their small vocabularies are trained on."""

SENTENCES = [
    "O filme é muito bom, barato e divertido!",
    "Não gostei nada: péssimo som, imagem ruim.",
    "Uma história de amor que vale a pena ver outra vez.",
    "Apesar de lento, o serviço foi excelente; voltarei em breve.",
    "A entrega atrasou 3 dias e o produto veio quebrado.",
]
FAMILIES = ("bert", "roberta", "xlm_roberta", "deberta_v2")
