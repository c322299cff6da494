package httpapi

import (
	"context"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/server/internal/message"
)

func (s *server) getIdentity(ctx context.Context, r api.Request, _ api.Empty) (api.IdentityView, error) {
	if _, err := s.bearer(ctx, r); err != nil {
		return api.IdentityView{}, err
	}
	of, err := pathID[id.Account](r, "account", api.NotFound)
	if err != nil {
		return api.IdentityView{}, err
	}
	identity, err := s.Accounts.IdentityOf(ctx, of)
	return api.IdentityView{Identity: text(identity)}, problem(err)
}

func (s *server) sendMessage(ctx context.Context, r api.Request, req api.SendMessageRequest) (api.Empty, error) {
	b, err := s.bearer(ctx, r)
	if err != nil {
		return api.Empty{}, err
	}
	sealed, err := bytesOf("sealed", req.Sealed)
	if err != nil {
		return api.Empty{}, err
	}
	return api.Empty{}, problem(s.Messages.Send(ctx, b.ID, message.Message{To: req.To, ID: req.Message, Sealed: sealed}))
}

func (s *server) listMessages(ctx context.Context, r api.Request, _ api.Empty) (api.MessageList, error) {
	b, err := s.bearer(ctx, r)
	if err != nil {
		return api.MessageList{}, err
	}
	all, err := s.Messages.List(ctx, b.ID)
	if err != nil {
		return api.MessageList{}, problem(err)
	}
	list := api.MessageList{Messages: make([]api.WaitingMessage, len(all))}
	for i, m := range all {
		list.Messages[i] = api.WaitingMessage{Message: m.ID, Sealed: text(m.Sealed), Day: m.Day}
	}
	return list, nil
}

func (s *server) dropMessage(ctx context.Context, r api.Request, _ api.Empty) (api.Empty, error) {
	b, err := s.bearer(ctx, r)
	if err != nil {
		return api.Empty{}, err
	}
	one, err := pathID[id.Message](r, "message", api.NotFound)
	if err != nil {
		return api.Empty{}, err
	}
	return api.Empty{}, problem(s.Messages.Drop(ctx, b.ID, one))
}
