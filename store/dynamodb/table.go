package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
)

// Ping returns nil if the table answers. The cache does not need it: a store whose table is away counts as empty.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	_, err := s.item(ctx, s.prefix, false)
	return s.wrap(ctx, "ping", err)
}

// CreateTable creates the table if there is none, with billing by request, and has DynamoDB remove items by their attribute ttl. It returns when the table is active,
// which takes some seconds, or the context is done. Where the server knows no TTL, DeleteExpired is what removes records.
func (s *Store) CreateTable(ctx context.Context) error {
	_, err := s.client.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName: &s.table, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String(attrID), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String(attrID), KeyType: types.KeyTypeHash}},
	}, s.call)
	var exists *types.ResourceInUseException
	if err != nil && !errors.As(err, &exists) {
		return s.wrap(ctx, "create table", err)
	}
	for active := false; !active; {
		out, err := s.client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &s.table}, s.call)
		if err != nil && !isMissing(err) {
			return s.wrap(ctx, "create table", err)
		}
		active = err == nil && out.Table != nil && out.Table.TableStatus == types.TableStatusActive
		p := lastPause
		if err := p.unless(ctx, active); err != nil {
			return s.wrap(ctx, "create table", err)
		}
	}
	return s.wrap(ctx, "create table", s.enableTTL(ctx))
}

// enableTTL has DynamoDB remove items. That it does so already is an error of theirs, and that a server cannot is no reason to do without the store.
func (s *Store) enableTTL(ctx context.Context) error {
	_, err := s.client.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{TableName: &s.table, TimeToLiveSpecification: &types.TimeToLiveSpecification{
		AttributeName: aws.String(attrTTL), Enabled: aws.Bool(true),
	}}, s.call)
	var api smithy.APIError
	if errors.As(err, &api) && (api.ErrorCode() == "ValidationException" || api.ErrorCode() == "UnknownOperationException") {
		return nil
	}
	return err
}

const createTime = 2 * time.Minute // that creating a table may take in the background

// createInBackground creates the table unless that is under way. The goroutine ends with Close.
func (s *Store) createInBackground() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.creating || s.closed {
		return
	}
	s.creating = true
	s.work.Go(func() {
		ctx, cancel := context.WithTimeout(s.ctx, createTime)
		defer cancel()
		_ = s.CreateTable(ctx) // the next call that finds no table tries again
		s.mu.Lock()
		defer s.mu.Unlock()
		s.creating = false
	})
}

// bounded returns the context of one call.
func (s *Store) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.opt.Timeout)
}

func isMissing(err error) bool {
	var missing *types.ResourceNotFoundException
	return errors.As(err, &missing)
}

// wrap returns the error of a call for its caller.
func (s *Store) wrap(ctx context.Context, op string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		err = ctx.Err()
	case isMissing(err) && s.opt.CreateTable:
		s.createInBackground()
		return fmt.Errorf("dynamodb: %s: the table %s is being created: %w", op, s.table, err)
	case isMissing(err):
		return fmt.Errorf("dynamodb: %s: there is no table %s: call CreateTable, or set Options.CreateTable: %w", op, s.table, err)
	}
	return fmt.Errorf("dynamodb: %s: %w", op, err)
}
