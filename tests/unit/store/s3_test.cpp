#include "lib/store/s3.hpp"

#include <doctest/doctest.h>

#include "lib/store/s3_client.hpp"

using namespace codops;
using namespace codops::store;

TEST_CASE("S3: the signature of AWS's own example") {
  // "GET Object" of Amazon S3's Signature Calculations for the Authorization Header.
  S3Request request;
  request.path = "/test.txt";
  request.headers = {{"host", "examplebucket.s3.amazonaws.com"}, {"range", "bytes=0-9"}};
  request.payload_sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
  const auto now = *parse_rfc3339("2013-05-24T00:00:00Z");
  const auto added = sign(request, {"AKIAIOSFODNN7EXAMPLE", Secret{"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}, {}}, "us-east-1", now);
  CHECK(added.back().second.ends_with("Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"));
  CHECK(canonical_query({{"uploads", ""}, {"prefix", "a b/"}}) == "prefix=a%20b%2F&uploads=");
}

TEST_CASE("S3: addresses") {
  REQUIRE(parse_s3_address("s3://bucket/some/prefix/"));
  CHECK(parse_s3_address("s3://bucket/some/prefix/")->prefix == "some/prefix");
  CHECK(parse_s3_address("s3://bucket")->bucket == "bucket");
  CHECK(parse_s3_address("s3://bucket")->prefix.empty());
  CHECK_FALSE(parse_s3_address("s3://"));
  CHECK_FALSE(parse_s3_address("s3:///x"));
  CHECK_FALSE(parse_s3_address("/backups"));
}

TEST_CASE("S3: what is needed of XML") {
  const std::string_view xml = "<R><Contents><Key>a&amp;b&lt;</Key><Size>7</Size></Contents><Contents><Key>c</Key></Contents></R>";
  CHECK(xml_texts(xml, "Contents").size() == 2);
  CHECK(xml_text(xml, "Key") == "a&b<");
  CHECK(xml_text(xml, "Missing").empty());
  CHECK(xml_text("<Key>unfinished", "Key").empty());
  CHECK(xml_text("<Key>it&#39;s &#34;odd&#x22; &#228;&#x20AC;&#x1F600; &apos;&quot; &#0;&#x110000;&nbsp;</Key>", "Key") == "it's \"odd\" ä€😀 '\" &#0;&#x110000;&nbsp;");
  // Once, not once for each element around it.
  const auto page = parse_list_page("<ListBucketResult><Contents><Key>a&amp;lt;b</Key><Size>3</Size></Contents></ListBucketResult>");
  REQUIRE(page);
  CHECK(page->items.at(0).key == "a&lt;b");
  CHECK(page->items.at(0).size == 3);
  CHECK(is_whole_xml("\xEF\xBB\xBF<?xml version=\"1.0\"?>\n<R a=\"b\"></R>\r\n", "R"));
  for (const char* bad : {"", "<R>", "<R", "<RS></R>", "x<R></R>", "<R></R>x", "<?xml", "<?xml ?>"}) CHECK_FALSE(is_whole_xml(bad, "R"));
}
