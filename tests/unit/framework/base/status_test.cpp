// SPDX-License-Identifier: Apache-2.0
//
// Status and Result carry a failure outwards without losing its code.

#include "framework/base/status.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

namespace tessera {
namespace {

Result<int> parse_digit(char c) {
  if (c < '0' || c > '9') {
    return Status(TSR_INVALID_ARGUMENT, std::string(1, c) + ": not a digit");
  }
  return c - '0';
}

Result<int> sum_of_digits(char a, char b) {
  TSR_ASSIGN_OR_RETURN(const int first, parse_digit(a));
  TSR_ASSIGN_OR_RETURN(const int second, parse_digit(b));
  return first + second;
}

Status check_both(const Status& first, const Status& second, int* num_checked) {
  TSR_RETURN_IF_ERROR(first);
  ++*num_checked;
  TSR_RETURN_IF_ERROR(second);
  ++*num_checked;
  return {};
}

TEST(Status, IsOkWithoutAMessageAtFirst) {
  const Status status;
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(status.code(), TSR_OK);
  EXPECT_EQ(status.message(), "");
}

TEST(Status, AnnotatePutsTheOutermostContextFirst) {
  const Status status = Status(TSR_NOT_FOUND, "no symbol x")
                            .annotate("load plugin a.so")
                            .annotate("open device a:0");
  EXPECT_EQ(status.code(), TSR_NOT_FOUND);
  EXPECT_EQ(status.message(), "open device a:0: load plugin a.so: no symbol x");
}

TEST(Status, AnnotateLeavesSuccessAlone) {
  const Status status = Status().annotate("load plugin a.so");
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(status.message(), "");
}

TEST(Status, NamesEveryCodeOfTheAbi) {
  EXPECT_EQ(status_name(TSR_OK), "OK");
  EXPECT_EQ(status_name(TSR_CANCELLED), "CANCELLED");
  EXPECT_EQ(status_name(TSR_INVALID_ARGUMENT), "INVALID_ARGUMENT");
  EXPECT_EQ(status_name(TSR_DEADLINE_EXCEEDED), "DEADLINE_EXCEEDED");
  EXPECT_EQ(status_name(TSR_NOT_FOUND), "NOT_FOUND");
  EXPECT_EQ(status_name(TSR_RESOURCE_EXHAUSTED), "RESOURCE_EXHAUSTED");
  EXPECT_EQ(status_name(TSR_FAILED_PRECONDITION), "FAILED_PRECONDITION");
  EXPECT_EQ(status_name(TSR_UNIMPLEMENTED), "UNIMPLEMENTED");
  EXPECT_EQ(status_name(TSR_INTERNAL), "INTERNAL");
  EXPECT_EQ(status_name(TSR_UNAVAILABLE), "UNAVAILABLE");
  EXPECT_EQ(status_name(TSR_DATA_LOSS), "DATA_LOSS");
}

TEST(Status, NamesACodeItDoesNotKnowByItsNumber) {
  EXPECT_EQ(status_name(77), "code 77");
  EXPECT_EQ(status_name(-1), "code -1");
}

TEST(Status, ReturnIfErrorStopsAtTheFirstFailure) {
  const Status bad(TSR_INTERNAL, "bad");
  int num_checked = 0;
  EXPECT_TRUE(check_both({}, {}, &num_checked).ok());
  EXPECT_EQ(num_checked, 2);

  num_checked = 0;
  EXPECT_EQ(check_both({}, bad, &num_checked).message(), "bad");
  EXPECT_EQ(num_checked, 1);

  num_checked = 0;
  EXPECT_EQ(check_both(bad, {}, &num_checked).message(), "bad");
  EXPECT_EQ(num_checked, 0);
}

TEST(Result, HoldsAValueOrTheReasonThereIsNone) {
  const Result<int> seven = parse_digit('7');
  ASSERT_TRUE(seven.ok());
  EXPECT_EQ(*seven, 7);
  EXPECT_TRUE(seven.status().ok());

  const Result<int> none = parse_digit('x');
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.status().code(), TSR_INVALID_ARGUMENT);
  EXPECT_EQ(none.status().message(), "x: not a digit");
}

TEST(Result, AssignOrReturnGivesTheFirstFailure) {
  EXPECT_EQ(*sum_of_digits('4', '5'), 9);
  EXPECT_EQ(sum_of_digits('a', 'b').status().message(), "a: not a digit");
  EXPECT_EQ(sum_of_digits('4', 'b').status().message(), "b: not a digit");
}

TEST(Result, MovesAValueThatCannotBeCopied) {
  Result<std::unique_ptr<int>> made = std::make_unique<int>(3);
  ASSERT_TRUE(made.ok());
  const std::unique_ptr<int> taken = std::move(*made);
  EXPECT_EQ(*taken, 3);
}

TEST(Result, AnnotateKeepsTheValueAndPrefixesTheFailure) {
  EXPECT_EQ(*parse_digit('7').annotate("read config"), 7);
  EXPECT_EQ(parse_digit('x').annotate("read config").status().message(),
            "read config: x: not a digit");
}

}  // namespace
}  // namespace tessera
