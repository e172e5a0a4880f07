"""The page for a new product, against what the catalog says."""

from __future__ import annotations

from api_world import TinyImage, TinyText, picture
from page_world import Visitor, World, sync_api
from PIL import Image

from anchorrec_graph.encoders.image import squashed

expect = sync_api.expect


def test_a_new_product(visitor: Visitor, world: World) -> None:
    page = visitor.open("#/new?user=u3")
    place = page.get_by_role("button", name="Place it")
    place.click()
    expect(page.get_by_role("alert")).to_have_text("Give a picture, a text, or both.")
    field = page.get_by_label("Picture", exact=True)
    field.set_input_files({"name": "a.txt", "mimeType": "text/plain", "buffer": b"x"})
    expect(page.get_by_role("alert")).to_contain_text("is not a picture that can be read")
    field.set_input_files({"name": "big.png", "mimeType": "image/png", "buffer": b"x" * (2**20 + 1)})
    expect(page.get_by_role("alert")).to_contain_text("is too large: pictures may have 1 MiB")
    content = picture((8, 6), colour="green")
    field.set_input_files({"name": "green.png", "mimeType": "image/png", "buffer": content})
    expect(page.get_by_role("img", name="Preview of green.png")).to_be_visible()
    page.get_by_label("Text", exact=True).fill("a cabbage")
    place.click()
    visitor.settle()
    rows = {
        "image": TinyImage().encode([squashed(Image.new("RGB", (8, 6), "green"), 2)])[0],
        "text": TinyText().encode(["a cabbage"])[0],
    }
    truth = world.catalog.place(rows, k=12, user="u3")
    expect(page.get_by_role("region", name="Its rank")).to_contain_text(
        f"It would be number {truth.rank} of {truth.candidates} for user u3"
    )
    for by, name in (("image", "by look"), ("text", "by words"), ("final", "in the whole model")):
        strip = page.get_by_role("region", name=f"Near it {name}")
        titles = [title or item for title, item in truth.similar[by].select("title", "item_id").rows()]
        assert strip.locator("h3 a").all_inner_texts() == titles
    page.get_by_role("button", name="Remove the picture").click()
    place.click()
    expect(page.get_by_role("region", name="Near it by look")).to_have_count(0)


def test_a_picture_that_is_dropped(visitor: Visitor) -> None:
    page = visitor.open("#/new")
    script = """bytes => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], "dropped.png", { type: "image/png" }));
        return data;
    }"""
    data = page.evaluate_handle(script, list(picture()))
    page.dispatch_event(".drop", "drop", {"dataTransfer": data})
    expect(page.get_by_role("img", name="Preview of dropped.png")).to_be_visible()
