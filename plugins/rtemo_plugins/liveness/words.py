"""Words: what can be asked for, and whether it is in what was said."""

import re
import secrets
import unicodedata

_ASK = {
    "en": "Please say these words: {}.",
    "de": "Bitte sagen Sie diese Wörter: {}.",
    "fr": "Veuillez dire ces mots : {}.",
    "es": "Por favor, diga estas palabras: {}.",
    "pl": "Proszę powiedzieć te słowa: {}.",
}
_WORDS = {
    "en": """apple bridge butter candle carpet castle dragon engine finger forest garden guitar hammer island jacket
    kitchen ladder lemon marble melon mirror monkey orange paper pencil pepper pillow planet pocket rabbit river rocket
    saddle silver spider summer table ticket tiger tunnel turtle velvet violin window winter yellow""",
    "de": """Apfel Banane Besen Blume Brücke Butter Dose Drachen Eimer Fenster Flasche Garten Gabel Hammer Himmel Honig
    Insel Jacke Kerze Kirsche Koffer Lampe Leiter Löffel Melone Messer Mutter Nadel Orange Papier Pfeffer Rakete Regen
    Sattel Silber Sommer Spinne Tasche Teller Tiger Tomate Traube Vogel Wagen Winter Wolke Zitrone Zucker""",
    "fr": """abeille arbre bateau beurre bouteille bougie bureau cerise château cheval citron colline crayon drapeau
    dragon école fenêtre forêt fromage garage guitare hiver jardin journal lampe lapin marteau melon miroir montagne
    musique orange panier papier parapluie planète poivre pomme poulet rivière serpent soleil sucre tigre tomate valise
    violon voiture""",
    "es": """abeja árbol arena azúcar barco bosque botella caballo camisa castillo cereza ciudad cocina comida corona
    cuchara dragón escuela espejo flor fuego gato guitarra hierro invierno isla jardín lámpara leche libro limón luna
    manzana martillo melón mesa montaña naranja nube papel perro pimienta plata puente queso ratón reloj tigre tomate
    ventana verano""",
    "pl": """banan biurko butelka cebula cukier cytryna drabina drzewo dywan gitara góra herbata jabłko kamień kapelusz
    karta kawa klucz kolano kot krzesło kwiat lampa las lato masło melon most muzyka ogród okno papier pieprz pociąg
    pomarańcza pomidor ptak rakieta rower rzeka samochód serce słońce szklanka tygrys widelec wiosna woda zegar zima""",
}
_LETTERS = str.maketrans({"ł": "l", "ø": "o", "ß": "ss"})  # those that do not come apart into a letter and its mark


def draw(language: str, count: int) -> tuple[str, ...]:
    """Draw words that nobody can foretell.

    Args:
        language: One of those of `LivenessOptions`.
        count: How many; all different.
    """
    return tuple(secrets.SystemRandom().sample(_WORDS[language].split(), count))


def ask(language: str, words: tuple[str, ...]) -> str:
    """Write the sentence that asks for words.

    >>> ask("en", ("river", "lemon"))
    'Please say these words: river, lemon.'
    """
    return _ASK[language].format(", ".join(words))


def heard_of(words: tuple[str, ...], text: str) -> tuple[str, ...]:
    """Tell which of the words are in a text, whatever their case and accents.

    >>> heard_of(("Löffel", "Zitrone"), "Ja, äh, loffel - und Sahne.")
    ('Löffel',)
    """
    said = set(re.findall(r"\w+", _folded(text)))
    return tuple(word for word in words if _folded(word) in said)


def _folded(text: str) -> str:
    apart = unicodedata.normalize("NFKD", text.casefold().translate(_LETTERS))
    return "".join(char for char in apart if not unicodedata.combining(char))
