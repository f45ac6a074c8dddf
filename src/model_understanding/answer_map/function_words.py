"""Words that say nothing by themselves (articles, pronouns, prepositions, auxiliaries), by language."""

import re
from collections.abc import Collection, Sequence

_FUNCTION_WORDS = {
    "English": (
        "a about after again all also although always am among an and another any are around as at be "
        "because been before being between both but by can cannot could did do does doing done during each "
        "either even ever every for from had has have having he her here hers him his how however i if in "
        "into is it its just many may me might more most much must my near neither no nor not now of off "
        "often on once only onto or other our out over own per quite rather shall she should since so some "
        "still such than that the their them then there these they this those though through thus to too "
        "under until up upon us very was we were what when where whether which while who whom whose why "
        "will with within without would yet you your"
    ),
    "German": (
        "aber alle als also am an auch auf aus bei beim bin bis da damit dann das dass dein dem den denn "
        "der des dessen deren die dies diese diesem diesen dieser dieses doch dort du durch ein eine einem "
        "einen einer eines er es für gegen habe haben hat hatte hatten hier ich ihm ihn ihr ihre im in ins "
        "ist ja jede jeder jedes kann kein keine mehr mein mit muss nach nicht noch nur ob oder ohne schon "
        "sehr sein seine seit sich sie sind so sondern über um und uns unter vom von vor war waren was weil "
        "wenn wer werden wie wir wird wo wurde wurden zu zum zur zwischen"
    ),
    "French": (
        "à afin ai ainsi alors après au aussi autre aux avant avec avoir c ce ceci cela ces cet cette chez "
        "comme d dans de depuis des donc dont du elle elles en encore entre est et étaient était été être "
        "eu il ils j je l la le les leur leurs lui m ma mais même mes moi mon n ne ni nos notre nous on ont "
        "ou où par pas pendant peu plus pour qu quand que quel quelle qui s sa sans se sera ses si son sont "
        "sous sur t ta te tes toi ton tous tout toute très tu un une vers vos votre vous y"
    ),
    "Spanish": (
        "a al algo ante antes aquel aquella así aún aunque cada como con contra cual cuando de del desde "
        "donde durante e el él ella ellas ellos en entre era eran es esa ese eso esta está están estas este "
        "esto estos fue fueron ha había han hasta hay la las le les lo los más me mi mientras muy ni no nos "
        "o os otra otro para pero por porque que qué quien se sea ser si sí sido sin sobre son su sus "
        "también tan te tiene tienen todo todos tu un una unas uno unos y ya yo"
    ),
    "Italian": (
        "a ad ai al alla alle anche ancora che chi ci come con contro cui da dai dal dalla dalle de degli "
        "dei del dell della delle di dopo dove e è ed era erano essere fa fino fra gli ha hanno i il in io "
        "l la le lei li lo loro lui ma mi nè né negli nei nel nella nelle no noi non o ogni per perché più "
        "poi prima può quale quando quella quello questa questo se sei sempre senza si sia sono stata stato "
        "su sua sui sul sulla suo suoi tra tu tutti un una uno"
    ),
    "Portuguese": (
        "a à ao aos as às até cada com como da das de depois do dos e é ela elas ele eles em entre era eram "
        "essa esse esta está estão este eu foi foram há isso isto já lhe mais mas me mesmo meu muito na não "
        "nas nem no nos num numa o os ou para pela pelas pelo pelos por porque qual quando que quem se sem "
        "ser será seu seus só sobre sua suas também te tem têm um uma"
    ),
    "Dutch": (
        "aan al alle als altijd ben bij daar dan dat de deze die dit doch door dus een en er ge geen had "
        "hadden heb hebben heeft het hier hij hoe hun ik in is ja je kan maar me meer men met mijn na naar "
        "niet nog nu of om omdat onder ook op over te tegen toch toen tot tussen u uit van veel voor want "
        "waren was wat we wel werd werden wie wij worden wordt ze zich zij zijn zo zonder zou"
    ),
    "Swedish, Danish and Norwegian": (
        "af alle at att av blev ble bliver da de deg dem den denne der deras deres dess det dette dig din "
        "du efter eftersom ein eller en er et ett etter finns for fra från för ha hade hadde han hans har "
        "havde hon hun här i icke ikke inte jag jeg kan kun kunne man med mellan mellem mellom men mer mig "
        "mot något når när och og också også om os over på samt sedan seg sig sin sitt skal ska som så til "
        "till um under ut var ved vi vid vil vart är över"
    ),
}
_BY_LANGUAGE = {language: frozenset(words.split()) for language, words in _FUNCTION_WORDS.items()}
# Share of the words of a text in a language that are function words; most have a third or more.
_FEWEST = 0.25
_CONTRACTED = re.compile(r"(?:n['’]t|['’](?:s|re|ve|ll|d|m))$")
_FEWEST_LETTERS = 4


def spoken_in(words: Sequence[str]) -> Collection[str]:
    """Return the function words of the language of a text; none where it is none of those that are known.

    Args:
        words: The words of the text.

    >>> "are" in spoken_in("The walls are covered in red paint".split())
    True
    >>> spoken_in("Talo on rakennettu vuonna 1931".split())
    frozenset()
    """
    folded = [word.casefold() for word in words]
    found = max(_BY_LANGUAGE.values(), key=lambda known: sum(word in known for word in folded))
    is_clear = sum(word in found for word in folded) >= max(_FEWEST * len(folded), 1)
    return found if is_clear else frozenset()


def says_nothing(word: str, function_words: Collection[str]) -> bool:
    """Return whether a word is a function word; where those are not known, whether it is a short one.

    Args:
        word: The word.
        function_words: The function words of its language, or none.

    >>> [says_nothing(word, {"the", "is"}) for word in ("red", "The", "isn't")]
    [False, True, True]
    >>> says_nothing("on", ())
    True
    """
    if not function_words:
        return len(word) < _FEWEST_LETTERS and word.isascii()
    folded = word.casefold()
    return folded in function_words or _CONTRACTED.sub("", folded) in function_words
