import base64
import hashlib
import json
import re
import zlib
from pathlib import Path

import plotly.graph_objects as go
import plotly.offline

from parefront.results.markup import data_script
from parefront.results.page import figure_slot, page_parts, read_resource, write_page


def test_only_the_scripts_of_this_package_may_run() -> None:
    parts = page_parts(["picker.js"])
    inline = [read_resource("figures.js"), read_resource("picker.js"), plotly.offline.get_plotlyjs()]
    allowed = re.findall(r"'sha256-([^']+)'", parts["policy"])
    assert allowed == [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in inline]
    assert "default-src 'none'" in parts["policy"]
    assert re.findall(r"<script>(.*?)</script>", parts["scripts"], re.DOTALL) == inline[:2]


def test_plotly_is_packed_once() -> None:
    (packed,) = re.findall(r'id="plotly">([^<]+)<', page_parts()["scripts"])
    assert zlib.decompress(base64.b64decode(packed)).decode() == plotly.offline.get_plotlyjs()


def test_data_cannot_end_its_element() -> None:
    text = '</script><!--<script>&"\u2028'
    script = data_script('"x', {text: [text]})
    assert script.startswith('<script type="application/json" id="&quot;x">')
    content = script.removesuffix("</script>").partition(">")[2]
    assert not set("<>&") & set(content)
    assert json.loads(content) == {text: [text]}


def test_a_slot_is_as_high_as_its_figure() -> None:
    figure = go.Figure(go.Scatter(x=[1, 2], y=[3, 4]), {"height": 320})
    slot = figure_slot(figure, "a-figure", 'the "a"', min_width=600)
    assert 'style="height:320px;min-width:600px"' in slot
    assert 'aria-label="the &quot;a&quot;"' in slot
    assert '"y":[3,4]' in slot


def test_a_page_is_written_whole(tmp_path: Path) -> None:
    page = write_page("<p>", tmp_path / "new" / "page.html")
    assert page.read_text() == "<p>"
    assert list(page.parent.iterdir()) == [page]
