"""The site builds. It is the first of the tests, so that a worker builds while another runs what needs no site."""


def test_the_site_builds(site):
    assert (site / "index.html").is_file()
    assert (site / "searchindex.js").is_file()
